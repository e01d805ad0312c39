"""Back up a ledger while it is written, and restore it into an empty database.

A backup is a ledger of its own in one SQLite file, whatever database it comes from: `verify` and
`replay` read it, and it can be restored into SQLite or PostgreSQL. It holds every table as it was
at one moment. A file gets its name when it is complete and on disk, so half a backup has no name.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table

from service.ledger.migrations import create_at, revisions
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database import (
    LedgerUnavailable,
    connection_to,
    database_url,
    open_engine,
)
from service.ledger.storage.database_file import database_file, require_sqlite
from service.ledger.storage.entries import Head
from service.ledger.storage.schema import head
from service.ledger.verify import verify

BATCH = 1_000  # rows in memory at a time
_BY_MIGRATION = ("alembic_version", "schema_version")  # tables that the migrations fill
# Filled by triggers as entries are inserted: the totals were, until revision 0012.
_BY_TRIGGER = ("ledger_open_referrals", "ledger_totals")


def back_up(engine: Engine, path: Path) -> Head:
    """Copy the ledger into the new file `path`, verify the copy, and return its head.

    The service may write meanwhile. Raises LedgerUnavailable when `path` exists, when the ledger
    cannot be read or the file not be written, and when the copied chain is broken.
    """
    return _copy_to_file(engine, path)


def restore(path: Path, engine: Engine) -> Head:
    """Copy the backup `path` into the empty database of `engine`, and return its head.

    The chain is verified before the database has it. Raises LedgerUnavailable when the database
    holds a ledger, which is left as it is, and when the backup is broken or cannot be read.
    """
    if not path.is_file():
        raise LedgerUnavailable(f"there is no backup {path}")
    require_sqlite(path)
    source = open_engine(database_url(f"sqlite:///{path}"), LONG_DEADLINE)
    try:
        file = database_file(engine.url)
        if file is not None:
            return _copy_to_file(source, file)
        end = _require_sound(source)
        _copy(source, engine)
        return end
    finally:
        source.dispose()


def _copy_to_file(source: Engine, path: Path) -> Head:
    """Copy into a file without a name that lasts, verify it, and give it its name."""
    if path.exists():
        raise LedgerUnavailable(f"{path} exists already: name a new file, or move it away")
    with _file_in_progress(path) as file:
        target = open_engine(database_url(f"sqlite:///{file}"), LONG_DEADLINE)
        try:
            _copy(source, target)
            end = _require_sound(target)
            with connection_to(target) as connection:  # one file, without a log beside it
                connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        finally:
            target.dispose()
    return end


@contextmanager
def _file_in_progress(path: Path) -> Iterator[Path]:
    """Give the name of a new file, which becomes `path` after the block, and is removed on errors.

    `path` is never overwritten, even if somebody else makes it meanwhile.
    """
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch(mode=0o600, exist_ok=False)
        yield partial
        for place in (partial, path.parent):
            descriptor = os.open(place, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        os.link(partial, path)
    except OSError as error:
        raise LedgerUnavailable(f"cannot write {path}: {error.strerror}") from error
    finally:
        for end in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + end).unlink(missing_ok=True)


def _require_sound(engine: Engine) -> Head:
    verification = verify(engine)
    if verification.total:
        raise LedgerUnavailable(
            f"the chain is broken ({verification.findings[0]}): `python -m service.ledger verify` "
            "names every entry"
        )
    return verification.head


def _copy(source: Engine, target: Engine) -> None:
    """Create the source's schema in the target and copy every row, in one transaction each."""
    with connection_to(source) as reading:
        _begin_reading(reading)
        revision = revisions.read(reading)
        if revision is None:
            raise LedgerUnavailable("there is no ledger to copy: its database has no tables")
        if revision > revisions.NEWEST:
            raise LedgerUnavailable(
                f"the schema has revision {revision}, and this program knows them up to "
                f"{revisions.NEWEST}: use the newer program"
            )
        with connection_to(target) as writing:
            create_at(writing, revision)
            _copy_rows(reading, writing)
            writing.commit()


def _begin_reading(connection: Connection) -> None:
    """Begin a transaction in which every statement sees the database as it is now."""
    if connection.dialect.name == "postgresql":
        level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        connection.exec_driver_sql(level)
    else:
        connection.exec_driver_sql("BEGIN")


def _copy_rows(reading: Connection, writing: Connection) -> None:
    tables = inspect(reading)
    writing.execute(head.delete())  # the migration begins a chain
    names = set(tables.get_table_names()) - set(_BY_MIGRATION)
    for name in sorted(names, key=_BY_TRIGGER.__contains__):
        if name in _BY_TRIGGER:
            writing.execute(table(name).delete())
        copied = table(name, *(column(each["name"]) for each in tables.get_columns(name)))
        rows = reading.execute(select(copied).execution_options(yield_per=BATCH))
        for part in rows.mappings().partitions():
            writing.execute(copied.insert(), [dict(row) for row in part])
