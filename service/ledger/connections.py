"""Connections to the ledger's database on which no call can hang."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Generator
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import psycopg
from sqlalchemy import Connection

DEADLINE = 3.0  # seconds that one call of the database may take in the service
LONG_DEADLINE = 600.0  # the same for commands, background work and migrations
CHECK_EVERY = 10_000  # steps of SQLite's virtual machine between two looks at the clock
REPEAT = 60.0  # seconds after which the same failure is printed again

Value = TypeVar("Value")


class WithDeadline(Protocol):
    """A driver's connection with the seconds that each of its calls may take."""

    deadline: float


class PostgresConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer a call in time.

    A stopped server keeps its sockets open, so neither keep-alives nor the server's own
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
            self.pgconn.finish()  # what the server will still say belongs to no call
            raise psycopg.OperationalError(too_late(self.deadline)) from None


class _Reporter:
    """Prints on standard error what must not be answered, a repeated text once a minute."""

    def __init__(self) -> None:
        self._text, self._printed = "", 0.0

    def __call__(self, text: str) -> None:
        if text != self._text or time.monotonic() - self._printed >= REPEAT:
            print(f"ledger: {text}", file=sys.stderr, flush=True)
            self._text, self._printed = text, time.monotonic()


_report = _Reporter()


def connect_postgres(*arguments: Any, **options: Any) -> PostgresConnection:
    """Connect to a server; raises OperationalError with a text that names no host.

    Anyone may read in `/health` why nothing can be recorded. What psycopg says, with the host and
    the account, goes to standard error.
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
    """A connection whose statements are interrupted when they take too long."""

    deadline = DEADLINE

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        clock = self.clock = _Clock()
        self.set_progress_handler(clock.is_late, CHECK_EVERY)
        # Text that is damaged in the file must not stop whoever reads the rows around it.
        self.text_factory = partial(str, encoding="utf-8", errors="replace")


class _Clock:
    """The time at which the running statement is late."""

    def __init__(self) -> None:
        self.end = float("inf")

    def is_late(self) -> bool:
        return time.monotonic() > self.end


def connect_sqlite(path: str, deadline: float) -> SQLiteConnection:
    """Connect to an existing file."""
    # mode=rw: a ledger file that vanished is an error here, not a new and empty ledger.
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        factory=SQLiteConnection,
    )
    connection.deadline = deadline
    return connection


def start_clock(connection: Connection, *_: object) -> None:
    """Begin to count the time of a SQLite statement (SQLAlchemy's `before_cursor_execute`)."""
    driver = connection.connection.driver_connection
    if isinstance(driver, SQLiteConnection):
        driver.clock.end = time.monotonic() + driver.deadline


def too_late(deadline: float) -> str:
    """What is said of a database that did not answer in time."""
    return f"the database did not answer within {deadline:g} seconds"
