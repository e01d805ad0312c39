"""Remove what was erased from the files of the database, and look whether anything is left.

SQLite overwrites what it deletes, but copies stay in the write-ahead log, and where a page was
split earlier also in the file. PostgreSQL keeps deleted rows until it vacuums the table.
"""

import re
import time
from collections.abc import Collection
from contextlib import closing
from mmap import ACCESS_READ, mmap
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database import connection_to, open_engine
from service.ledger.storage.database_file import database_file

WAIT = 30.0  # seconds to wait for readers of the write-ahead log
_SALT = re.compile(rb"[0-9a-f]{32}")
_INDEXES = ("ledger_personal_by_reference", "ledger_entries_by_case")
_LEFT = (
    "PostgreSQL's write-ahead log, and backups that were made before, hold the erased values until "
    "they are overwritten or deleted as you have set"
)


def clean(engine: Engine, needles: Collection[str]) -> str:
    """Remove erased values from the files, and return on one line what the operator must know.

    `needles` are texts that only erased parts held. Raises LedgerUnavailable.
    """
    file = database_file(engine.url)
    slow = open_engine(engine.url, LONG_DEADLINE)
    try:
        with connection_to(slow) as connection:
            if file is None:
                return _clean_postgres(connection)
            return _clean_sqlite(connection, file, needles)
    finally:
        slow.dispose()


def _clean_postgres(connection: Connection) -> str:
    """Vacuum the tables; PostgreSQL only warns where the account may not."""
    driver = connection.execution_options(isolation_level="AUTOCOMMIT")
    owned = "SELECT bool_and(pg_has_role(tableowner, 'MEMBER')) FROM pg_tables WHERE tablename = %s"
    if not driver.exec_driver_sql(owned, ("ledger_personal",)).scalar_one():
        return f"the next VACUUM (or autovacuum) frees the deleted rows; {_LEFT}"
    driver.exec_driver_sql("VACUUM ledger_personal, ledger_protected, ledger_claims")
    return f"the tables are vacuumed; {_LEFT}"


def _clean_sqlite(connection: Connection, file: Path, needles: Collection[str]) -> str:
    for index in _INDEXES:
        _with_patience(connection, f"REINDEX {index}")
    _empty_log(connection)
    left = count_left(file, needles)
    if left:
        _with_patience(connection, "VACUUM")
        _empty_log(connection)
        left = count_left(file, needles)
    if left:
        return f"{file} still holds {left} erased parts: stop the service, and erase again"
    return (
        f"{file} and its write-ahead log hold none of the erased parts; backups that were made "
        "before do until you delete them"
    )


def _empty_log(connection: Connection) -> None:
    """Move the write-ahead log into the file and cut it to nothing, when no reader needs it."""
    until = time.monotonic() + WAIT
    while connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:
        if time.monotonic() > until:
            return
        time.sleep(0.05)


def _with_patience(connection: Connection, statement: str) -> None:
    """Run a statement again while another connection writes."""
    until = time.monotonic() + WAIT
    while True:
        try:
            connection.exec_driver_sql(statement)
            return
        except OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def count_left(file: Path, needles: Collection[str]) -> int:
    """Return how many of the texts stand in the file or in its log."""
    wanted = {needle.encode() for needle in needles}
    found: set[bytes] = set()
    for path in (file, file.with_name(f"{file.name}-wal")):
        if not wanted or not path.exists() or not path.stat().st_size:
            continue
        with path.open("rb") as opened, closing(mmap(opened.fileno(), 0, access=ACCESS_READ)) as m:
            if len(wanted) <= 16:
                found |= {needle for needle in wanted if m.find(needle) >= 0}
            else:
                found |= wanted.intersection(match.group() for match in _SALT.finditer(m))
    return len(found)
