"""Connect to the database of features: for reading alone, and with a deadline on every query."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

from service.ledger.storage.connections import PostgresConnection, connect_sqlite, start_clock

THREADS = 4  # queries that a worker sends at the same time, each on a connection of its own
CONNECT_TIMEOUT = 2  # seconds, the shortest that PostgreSQL's library knows


def open_engine(url: str, deadline: float) -> Engine:
    """Return an engine that connects at its first use; each query may take `deadline` seconds."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, deadline)
    return _open_postgres(parsed.set(drivername="postgresql+psycopg"), deadline)


def _open_sqlite(url: URL, deadline: float) -> Engine:
    connect = partial(connect_sqlite, str(url.database), deadline, mode="ro", patience=deadline)
    engine = create_engine(
        url, creator=connect, pool_size=THREADS, max_overflow=0, hide_parameters=True
    )
    event.listen(engine, "before_cursor_execute", start_clock)
    return engine


def _open_postgres(url: URL, deadline: float) -> Engine:
    milliseconds = round(deadline * 1000)
    engine = create_engine(
        url,
        connect_args={
            "client_encoding": "utf8",
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": 5,
            "tcp_user_timeout": 5_000,
            "options": "-c default_transaction_read_only=on -c default_transaction_isolation="
            f"repeatable\\ read -c statement_timeout={milliseconds}",
        },
        pool_size=THREADS,
        max_overflow=0,
        pool_timeout=deadline,
        pool_pre_ping=True,
        hide_parameters=True,
    )

    def connect(_: object, __: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        return PostgresConnection.connect(*arguments, **options)

    def limit(connection: DBAPIConnection, _: object) -> None:
        connection.deadline = deadline

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", limit)
    return engine


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Open a transaction in which all queries see the database at the same moment."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        finally:
            connection.rollback()
