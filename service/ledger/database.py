"""Where the ledger is kept: SQLite by default, PostgreSQL by `DATABASE_URL`."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from service import settings

PATIENCE = 5  # seconds to wait for a connection, a lock, or an answer of a dead network
ATTEMPT = 10  # milliseconds of one attempt at SQLite's write lock

SESSION = {
    "sqlite": (
        f"PRAGMA busy_timeout = {PATIENCE * 1000}",
        "PRAGMA journal_mode = WAL",
        # FULL syncs the write-ahead log at every commit: an acknowledged row survives power loss.
        "PRAGMA synchronous = FULL",
        # SQLite polls for a lock ever more rarely and starves beside a busy writer: `begin`
        # makes many short attempts instead.
        f"PRAGMA busy_timeout = {ATTEMPT}",
    ),
    "postgresql": (
        """DO $$ BEGIN IF current_setting('server_encoding') <> 'UTF8' THEN
            RAISE EXCEPTION 'the ledger needs a database in UTF8; this one is in % (createdb '
                '--template template0 --encoding UTF8 NAME)', current_setting('server_encoding');
            END IF; END $$""",
        f"SET lock_timeout = '{PATIENCE}s'",
        # A writer that hangs inside its transaction must not keep the head from all others.
        f"SET idle_in_transaction_session_timeout = '{2 * PATIENCE}s'",
        # A server may be set to answer before its log is on disk; the ledger is not.
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')",
    ),
}

POSTGRESQL = {
    # Without it, a database in SQL_ASCII answers in bytes, even about itself.
    "client_encoding": "utf8",
    "connect_timeout": PATIENCE,
    "keepalives_idle": PATIENCE,
    "tcp_user_timeout": PATIENCE * 1000,
}


class LedgerUnavailable(Exception):
    """The ledger cannot record or read now; the text says why, without applicants' data."""


def database_url(url: str | None = None) -> URL:
    """`url`, else `DATABASE_URL`, else the default file; `postgresql://` means psycopg.

    Raises ValueError for other databases and for SQLite without a file.
    """
    parsed = make_url(url or settings.load().database_url)
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":
        raise ValueError(
            f"DATABASE_URL must begin with sqlite:/// or postgresql://; got {parsed.drivername}"
        )
    if parsed.database in (None, "", ":memory:"):
        raise ValueError("DATABASE_URL must name a file: sqlite:///PATH; got no path")
    return parsed


def open_engine(url: URL) -> Engine:
    """An engine whose every connection has the session settings above; connects lazily."""
    if url.get_backend_name() == "sqlite":
        connect = partial(_connect_sqlite, str(url.database))
        engine = create_engine(url, creator=connect, pool_timeout=PATIENCE, hide_parameters=True)
    else:
        engine = create_engine(
            url,
            connect_args=POSTGRESQL,
            pool_pre_ping=True,
            pool_timeout=PATIENCE,
            hide_parameters=True,
        )
    event.listen(engine, "connect", partial(_prepare, SESSION[engine.dialect.name]))
    return engine


def _connect_sqlite(path: str) -> sqlite3.Connection:
    # mode=rw: a ledger file that vanished is an error here, not a new and empty ledger.
    name = f"file:{quote(path)}?mode=rw"
    return sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)


def _prepare(
    statements: tuple[str, ...], connection: DBAPIConnection, _: ConnectionPoolEntry
) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()
    connection.commit()


def database_file(engine: Engine) -> Path | None:
    """The file of a SQLite ledger; None for a server."""
    if engine.dialect.name != "sqlite":
        return None
    return Path(str(engine.url.database))


def file_identity(engine: Engine) -> tuple[int, int] | None:
    """Which file a SQLite ledger is now; None for a server, or where no file is to be seen."""
    path = database_file(engine)
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def make_file(engine: Engine) -> None:
    """Create a ledger file and its folder, durably: their names must survive power loss too."""
    path = database_file(engine)
    if path is None or path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        for folder in (path.parent, path.parent.parent):
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
    except OSError as error:
        raise LedgerUnavailable(f"cannot create {path}: {error.strerror}") from error


def begin(connection: Connection) -> None:
    """Begin a transaction that will write; SQLite takes its one write lock here, not later.

    Raises OperationalError when the lock is not to be had within `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    while connection.dialect.name == "sqlite":
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except OperationalError as error:
            if not _busy(error) or time.monotonic() > deadline:
                raise


def _busy(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def reason(error: SQLAlchemyError) -> str:
    """What the database said, on one line, without statements and parameters."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return lines[0]


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection; whatever the database refuses comes out as LedgerUnavailable."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise LedgerUnavailable(reason(error)) from error
