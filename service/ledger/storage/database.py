"""Connect to the database that `DATABASE_URL` names: a SQLite file or PostgreSQL."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from service import settings
from service.ledger.storage.connections import (
    DEADLINE,
    PostgresConnection,
    connect_postgres,
    connect_sqlite,
    deadline_message,
    start_clock,
)

LOCK_TIMEOUT = 2.5  # seconds to wait for a pooled connection or a lock; less than DEADLINE
CONNECT_TIMEOUT = 2  # seconds to wait for a new connection
LOCK_ATTEMPT = 10  # milliseconds of one attempt at SQLite's write lock

WAIT_FOR_LOCK = f"PRAGMA busy_timeout = {round(LOCK_TIMEOUT * 1000)}"
# SQLite retries a lock less and less often and starves beside a busy writer, so `begin_writing`
# makes many short attempts instead.
ATTEMPT_LOCK = f"PRAGMA busy_timeout = {LOCK_ATTEMPT}"
SQLITE_SESSION = (
    WAIT_FOR_LOCK,
    "PRAGMA journal_mode = WAL",
    # FULL syncs the write-ahead log at every commit: an acknowledged row survives power loss.
    "PRAGMA synchronous = FULL",
    # What is deleted is overwritten, so that it cannot be read from the file.
    "PRAGMA secure_delete = ON",
)
POSTGRES_SESSION = (
    """DO $$ BEGIN IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the ledger needs a database in UTF8; this one is in % (createdb '
            '--template template0 --encoding UTF8 NAME)', current_setting('server_encoding');
        END IF; END $$""",
    f"SET lock_timeout = '{round(LOCK_TIMEOUT * 1000)}ms'",
    # A writer that hangs inside its transaction must not lock the head for ever.
    f"SET idle_in_transaction_session_timeout = '{round(2 * LOCK_TIMEOUT * 1000)}ms'",
    # A server may be configured to answer before its log is on disk; the ledger waits for it.
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')",
)
POSTGRES_OPTIONS = {
    # Without it, a database in SQL_ASCII answers every query in bytes.
    "client_encoding": "utf8",
    "connect_timeout": CONNECT_TIMEOUT,
    "keepalives_idle": 5,
    "tcp_user_timeout": 5_000,
}


class LedgerUnavailable(Exception):
    """The ledger cannot be written or read now; the message says why, without personal data."""


def database_url(url: str | None = None) -> URL:
    """Return the URL of the database: `url`, or that of the settings when it is None.

    `postgresql://` selects the driver psycopg. Raises SettingsError for other databases and for
    SQLite without a file.
    """
    try:
        parsed = make_url(url or settings.load().database_url)
    except (ArgumentError, ValueError):  # of a port that is no number; the text may be a secret
        raise settings.SettingsError(
            "DATABASE_URL must be sqlite:///PATH or postgresql://USER@HOST:PORT/NAME; got neither"
        ) from None
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":
        raise settings.SettingsError(
            f"DATABASE_URL must begin with sqlite:/// or postgresql://; got {parsed.drivername}"
        )
    if parsed.database in (None, "", ":memory:"):
        raise settings.SettingsError("DATABASE_URL must name a file: sqlite:///PATH; got no path")
    return parsed


def open_engine(url: URL, deadline: float = DEADLINE) -> Engine:
    """Return an engine that connects at its first use; each call may take `deadline` seconds."""
    if url.get_backend_name() == "sqlite":
        path = str(url.database)
        engine = create_engine(
            url,
            creator=lambda: connect_sqlite(path, deadline),
            pool_timeout=LOCK_TIMEOUT,
            hide_parameters=True,
        )
        event.listen(engine, "before_cursor_execute", start_clock)
    else:
        engine = create_engine(
            url,
            connect_args=POSTGRES_OPTIONS,
            pool_pre_ping=True,
            pool_timeout=LOCK_TIMEOUT,
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
    """Prepares every new connection by session settings."""

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


def begin_writing(
    connection: Connection, lock: int | None = None, timeout: float = LOCK_TIMEOUT
) -> None:
    """Begin a writing transaction that excludes others with the same `lock`.

    SQLite takes its single write lock at once; PostgreSQL takes the advisory lock of the number
    `lock`, if one is given. Raises OperationalError when SQLite's lock is not free within `timeout`
    seconds, or that of PostgreSQL within its `lock_timeout`.
    """
    if connection.dialect.name == "postgresql":
        if lock is not None:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock:d})")
        return
    deadline = time.monotonic() + timeout
    if connection.info.get(ATTEMPT_LOCK):
        _begin_at_once(connection, deadline)
        return
    connection.exec_driver_sql(ATTEMPT_LOCK)
    try:
        _begin_at_once(connection, deadline)
    finally:  # a reader waits, beside a process that opens or closes the file
        connection.exec_driver_sql(WAIT_FOR_LOCK)


def only_write(connection: Connection) -> None:
    """Let a connection make short attempts at SQLite's lock for all its life.

    It must do nothing but begin to write and commit: a reader would not wait for a lock.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(ATTEMPT_LOCK)
        connection.info[ATTEMPT_LOCK] = True


def _begin_at_once(connection: Connection, deadline: float) -> None:
    """Try to begin SQLite's writing transaction, again and again until the deadline."""
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
    """Return the database's message on one line, without statements and parameters."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        return deadline_message(DEADLINE)
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return lines[0]


@contextmanager
def connection_to(engine: Engine) -> Iterator[Connection]:
    """Open a connection; errors of the database are raised as LedgerUnavailable."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise LedgerUnavailable(describe(error)) from error
