"""Create or upgrade the ledger's tables by Alembic, in one transaction."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Engine, inspect

from service.ledger.migrations import revisions, roles
from service.ledger.storage.checkpoint import Checkpoint
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database import (
    LOCK_TIMEOUT,
    LedgerUnavailable,
    begin_writing,
    connection_to,
    open_engine,
)
from service.ledger.storage.database_file import create_file, database_file, require_sqlite
from service.ledger.storage.entries import Head
from service.ledger.storage.schema import head

FOLDER = Path(__file__).parent
VERSIONS = [FOLDER / "versions"]
LOCK_WAIT = 60.0  # seconds to wait for another migration
_LOCK = 7_264_331_902  # any number that only this program uses
_ALEMBIC = Lock()  # Alembic keeps what it works on in variables of its module


def create(engine: Engine, checkpoint: Checkpoint) -> None:
    """Create the tables of an empty database; an existing schema is never changed.

    Raises LedgerUnavailable when the database cannot be used, when it is empty although the
    checkpoint says that it held entries, and when its schema is too old for this program.
    """
    if _is_empty(engine, checkpoint):
        _upgrade(engine)
    revisions.advise(revisions.require_tables(engine))


def migrate(engine: Engine, checkpoint: Checkpoint) -> str:
    """Create the tables, or upgrade them to this program's schema; returns their revision.

    A newer schema is left as it is. Raises LedgerUnavailable when the database cannot be used, and
    when it is empty although the checkpoint says that it held entries. The schema is then whole and
    as it was.
    """
    _is_empty(engine, checkpoint)
    _upgrade(engine)
    return revisions.require_tables(engine)


def _is_empty(engine: Engine, checkpoint: Checkpoint) -> bool:
    """Tell whether the database has no ledger; a missing SQLite file is created."""
    kept = checkpoint.read()
    held = kept is not None and kept.sequence > 0
    file = database_file(engine.url)
    if file and not file.exists():
        if held:
            raise _lost(kept, checkpoint)
        create_file(engine)
    elif file:
        require_sqlite(file)
    with connection_to(engine) as connection:
        is_empty = revisions.read(connection) is None
    if is_empty and held:
        raise _lost(kept, checkpoint)
    return is_empty


def _lost(kept: Head | None, checkpoint: Checkpoint) -> LedgerUnavailable:
    """Return the error about a database that is empty although it held entries."""
    return LedgerUnavailable(
        f"the ledger is gone: the database is empty, and {checkpoint.path} says that it held "
        f"{kept.sequence if kept else 0} entries; restore it, or begin a new one with "
        "`python -m service.ledger init`"
    )


def create_at(connection: Connection, revision: str) -> None:
    """Create the tables of a revision in an empty database, in a transaction that stays open.

    Raises LedgerUnavailable when the database holds a ledger.
    """
    run = _load_alembic()
    _wait_for_turn(connection)
    if revisions.read(connection) is not None:
        raise LedgerUnavailable("the database holds a ledger already: name an empty database")
    run(connection, revision)


def _upgrade(engine: Engine) -> None:
    run = _load_alembic()  # before the transaction, which keeps the service from writing
    slow = open_engine(engine.url, LONG_DEADLINE)
    try:
        with connection_to(slow) as connection:
            _wait_for_turn(connection)
            if (revisions.read(connection) or "") <= revisions.NEWEST:
                run(connection, "head")
            connection.commit()
    finally:
        slow.dispose()


def _load_alembic() -> Callable[[Connection, str], None]:
    """Return the function that runs the migrations up to a revision, and then grants rights.

    Alembic is imported here, so that the service, which seldom migrates, starts sooner.
    """
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, VERSIONS)))

    def run(connection: Connection, revision: str) -> None:
        config.attributes["connection"] = connection
        with _ALEMBIC:
            command.upgrade(config, revision)
        if roles.present(connection):
            roles.grant(connection)

    return run


def _wait_for_turn(connection: Connection) -> None:
    """Begin a transaction that excludes other migrations."""
    is_postgres = connection.dialect.name == "postgresql"
    if is_postgres:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT:.0f}s'")
    begin_writing(connection, _LOCK, LOCK_WAIT)
    if is_postgres:  # whoever waits for a table's lock makes everybody else wait behind it
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT * 1000:.0f}ms'")
        if inspect(connection).has_table(head.name):
            # The writer locks the head before it writes: in the same order there is no deadlock.
            connection.exec_driver_sql(f"LOCK TABLE {head.name} IN EXCLUSIVE MODE")
