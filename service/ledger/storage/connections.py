"""Connections to the ledger's database on which every call has a deadline."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Generator
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import psycopg
from sqlalchemy import Connection

DEADLINE = 3.0  # seconds that one call of the database may take in the service
LONG_DEADLINE = 600.0  # the same for commands, background work and migrations
PATIENCE = 5.0  # seconds that a connection waits for a lock of SQLite until it is told otherwise
CHECK_EVERY = 10_000  # steps of SQLite's virtual machine between two checks of the deadline
REPEAT = 60.0  # seconds after which the same failure is printed again

Value = TypeVar("Value")


class PostgresConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer a call in time.

    A stopped server (SIGSTOP) keeps its sockets open, so neither keep-alives nor its own
    `statement_timeout` end the wait.
    """

    deadline = DEADLINE

    def wait(
        self,
        gen: Generator[Any, Any, Value],
        interval: float = 0.1,
        timeout: float | None = None,
    ) -> Value:
        """Wait for an answer; raises OperationalError when it does not come in time."""
        since = time.monotonic()
        try:
            return super().wait(gen, interval, timeout or self.deadline)
        except psycopg.OperationalError:
            if time.monotonic() - since < (timeout or self.deadline):
                raise
            self.pgconn.finish()  # a late answer would be taken for that of the next call
            raise psycopg.OperationalError(deadline_message(self.deadline)) from None


class Reporter:
    """Prints a text on standard error; a repeated text at most once every REPEAT seconds."""

    def __init__(self, who: str) -> None:
        self._who, self._text, self._printed = who, "", 0.0

    def __call__(self, text: str) -> None:
        """Print a text with the name of who reports it."""
        if text != self._text or time.monotonic() - self._printed >= REPEAT:
            print(f"{self._who}: {text}", file=sys.stderr, flush=True)
            self._text, self._printed = text, time.monotonic()


_report = Reporter("ledger")


def connect_postgres(*arguments: Any, **options: Any) -> PostgresConnection:
    """Connect to a server; raises OperationalError with a message that names no host.

    Everybody can read the reason of a failure in `/health`. Psycopg's message, which names the host
    and the account, is printed on standard error.
    """
    try:
        return PostgresConnection.connect(*arguments, **options)
    except psycopg.Error as error:
        _report(" ".join(str(error).split()))
        raise psycopg.OperationalError(
            "the database cannot be reached, or refuses the connection; the service's standard "
            "error says more"
        ) from None


class SQLiteConnection(sqlite3.Connection):
    """A connection whose statements are interrupted after the deadline."""

    deadline = DEADLINE

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        clock = self.clock = _Clock()
        self.set_progress_handler(clock.is_late, CHECK_EVERY)
        # Damaged text in one row must not prevent reading the other rows.
        self.text_factory = partial(str, encoding="utf-8", errors="replace")


class _Clock:
    """The time at which the running statement must end."""

    def __init__(self) -> None:
        self.end = float("inf")

    def is_late(self) -> bool:
        return time.monotonic() > self.end


def connect_sqlite(
    path: str, deadline: float, *, mode: Literal["rw", "ro"] = "rw", patience: float = PATIENCE
) -> SQLiteConnection:
    """Connect to an existing file; raises sqlite3.OperationalError when it does not exist.

    `patience` are the seconds that a statement waits for a lock.
    """
    # Neither mode creates a file: a missing ledger must not become a new and empty one.
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode={mode}",
        uri=True,
        timeout=patience,
        isolation_level=None,
        check_same_thread=False,
        factory=SQLiteConnection,
    )
    connection.deadline = deadline
    return connection


def start_clock(connection: Connection, *_: object) -> None:
    """Start the deadline of a SQLite statement (SQLAlchemy's event `before_cursor_execute`)."""
    driver = connection.connection.driver_connection
    if isinstance(driver, SQLiteConnection):
        driver.clock.end = time.monotonic() + driver.deadline


def deadline_message(deadline: float) -> str:
    """Return the message about a database that did not answer in time."""
    return f"the database did not answer within {deadline:g} seconds"
