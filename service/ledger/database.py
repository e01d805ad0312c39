"""Where the ledger is kept: in SQLite by default, in PostgreSQL by `DATABASE_URL`."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from service import settings
from service.ledger.connections import (
    DEADLINE,
    PostgresConnection,
    connect_postgres,
    connect_sqlite,
    start_clock,
    too_late,
)

PATIENCE = 2.5  # seconds to wait for a connection of the pool or a lock; less than DEADLINE
CONNECT = 2  # seconds to wait for a new connection
ATTEMPT = 10  # milliseconds of one attempt at SQLite's write lock

SQLITE_SESSION = (
    f"PRAGMA busy_timeout = {round(PATIENCE * 1000)}",
    "PRAGMA journal_mode = WAL",
    # FULL syncs the write-ahead log at every commit: an acknowledged row survives power loss.
    "PRAGMA synchronous = FULL",
    # SQLite polls for a lock ever more rarely and starves beside a busy writer:
    # `begin_writing` makes many short attempts instead.
    f"PRAGMA busy_timeout = {ATTEMPT}",
)
POSTGRES_SESSION = (
    """DO $$ BEGIN IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the ledger needs a database in UTF8; this one is in % (createdb '
            '--template template0 --encoding UTF8 NAME)', current_setting('server_encoding');
        END IF; END $$""",
    f"SET lock_timeout = '{round(PATIENCE * 1000)}ms'",
    # A writer that hangs inside its transaction must not keep the head from all others.
    f"SET idle_in_transaction_session_timeout = '{round(2 * PATIENCE * 1000)}ms'",
    # A server may be set to answer before its log is on disk; the ledger is not.
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')",
)
POSTGRES_OPTIONS = {
    # Without it, a database in SQL_ASCII answers in bytes, even about itself.
    "client_encoding": "utf8",
    "connect_timeout": CONNECT,
    "keepalives_idle": 5,
    "tcp_user_timeout": 5_000,
}


class LedgerUnavailable(Exception):
    """The ledger cannot record or read now; the text says why, without applicants' data."""


def database_url(url: str | None = None) -> URL:
    """Return `url`, else `DATABASE_URL`, else the default file; `postgresql://` means psycopg.

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


def open_engine(url: URL, deadline: float = DEADLINE) -> Engine:
    """Return an engine that connects when it is used; each call may take `deadline` seconds."""
    if url.get_backend_name() == "sqlite":
        path = str(url.database)
        engine = create_engine(
            url,
            creator=lambda: connect_sqlite(path, deadline),
            pool_timeout=PATIENCE,
            hide_parameters=True,
        )
        event.listen(engine, "before_cursor_execute", start_clock)
    else:
        engine = create_engine(
            url,
            connect_args=POSTGRES_OPTIONS,
            pool_pre_ping=True,
            pool_timeout=PATIENCE,
            hide_parameters=True,
        )
        event.listen(engine, "do_connect", _connect_postgres)
    event.listen(engine, "connect", _Session(engine.dialect.name, deadline).prepare)
    return engine


def _connect_postgres(
    dialect: object, record: object, arguments: list[Any], options: dict[str, Any]
) -> PostgresConnection:
    return connect_postgres(*arguments, **options)


class _Session:
    """What every new connection is told before it is used."""

    def __init__(self, dialect: str, deadline: float) -> None:
        self._deadline = deadline
        self._statements: tuple[str, ...] = SQLITE_SESSION
        if dialect == "postgresql":
            limit = f"SET statement_timeout = '{round(deadline * 1000)}ms'"
            self._statements = (*POSTGRES_SESSION, limit)

    def prepare(self, connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for statement in self._statements:
            cursor.execute(statement)
        cursor.close()
        connection.commit()
        connection.deadline = self._deadline


def database_file(url: URL) -> Path | None:
    """Return the file of a SQLite ledger; None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def file_identity(engine: Engine) -> tuple[int, int] | None:
    """Return which file a SQLite ledger is now; None for a server, or where there is no file."""
    path = database_file(engine.url)
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def create_file(engine: Engine) -> None:
    """Create a ledger file and its folder, durably: their names must survive power loss too."""
    path = database_file(engine.url)
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


def begin_writing(
    connection: Connection, lock: int | None = None, patience: float = PATIENCE
) -> None:
    """Begin a transaction that will write, alone among those that use the same `lock`.

    SQLite takes its one write lock here, not later; PostgreSQL takes the advisory lock of that
    number, if one is given. Raises OperationalError when SQLite's lock is not free within
    `patience` seconds, or that of PostgreSQL within its `lock_timeout`.
    """
    if connection.dialect.name == "postgresql":
        if lock is not None:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock:d})")
        return
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise


def _is_busy(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def describe(error: SQLAlchemyError) -> str:
    """Return what the database said, on one line, without statements and parameters."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        return too_late(DEADLINE)
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return lines[0]


@contextmanager
def connection_to(engine: Engine) -> Iterator[Connection]:
    """Give a connection; whatever the database refuses is raised as LedgerUnavailable."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise LedgerUnavailable(describe(error)) from error
