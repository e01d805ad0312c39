"""Put fetched lines into applications that name a key, with a bound on what waits for the database.

A request never gets a default in place of lines: where the source is away, stale or too busy, it is
refused. What was fetched stands in the application from then on, and is recorded with it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from service import settings
from service.decision.applications import Applications, InvalidApplication
from service.decision.engine import Engine as DecisionEngine
from service.decision.history import key_of
from service.ledger.storage.connections import Reporter
from service.sources.connections import THREADS, open_engine, snapshot
from service.sources.tables import FetchedLines, Key, Line, SourceError, SourceTable

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
WAITING = 16  # requests that may wait for the database of a worker
PAUSE = 1.0  # seconds after a failure in which nobody asks again

Application = dict[str, Any]
Facts = dict[str, dict[str, Any]]
"""For each history that was fetched, the number of lines before the decision, and their `as_of`."""


class Completed(NamedTuple):
    """A row with the lines that were fetched for it, and what is said about them."""

    row: object
    facts: Facts

    def check(self, applications: Applications) -> Application:
        """Return the row as a checked application; raises InvalidApplication.

        A fetched line that breaks the contract has the code `source_invalid`.
        """
        try:
            return applications.check(self.row)
        except InvalidApplication as error:
            blamed = [
                p._replace(code="source_invalid", message=f"as fetched, {p.message}")
                if p.field.partition("[")[0] in self.facts
                else p
                for p in error.problems
            ]
            raise InvalidApplication(blamed) from None


class FeatureSources:
    """The sources of a model's contract; nothing is connected before the first request needs it."""

    def __init__(self, engine: DecisionEngine) -> None:
        configured = settings.load()
        self._url, self._deadline = configured.features_url, configured.features_timeout / 1000
        self._engine = open_engine(self._url, self._deadline) if self._url else None
        histories = engine.applications.histories
        self._histories = {name: h for name, h in histories.items() if h.source}
        self._date = str(engine.contract.date)
        self._tables = {
            name: SourceTable(name, h, h.source) for name, h in self._histories.items() if h.source
        }
        self._threads = ThreadPoolExecutor(THREADS, "features")
        self._waiting, self._paused_until = 0, 0.0
        self._report = Reporter("features")

    def close(self) -> None:
        """Close the connections to the database."""
        self._threads.shutdown()
        if self._engine is not None:
            self._engine.dispose()

    async def complete(self, rows: Sequence[object]) -> list[Completed]:
        """Return the rows with their lines; raises SourceError."""
        wanted = self._find_keys(rows)
        if not wanted:
            return [Completed(row, {}) for row in rows]
        if self._waiting >= WAITING:
            raise _unavailable(wanted, "too many requests wait for its database")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            fetched = await loop.run_in_executor(self._threads, self._read, wanted)
        finally:
            self._waiting -= 1
        return self._fill(rows, fetched)

    def complete_now(self, rows: Sequence[object]) -> list[Completed]:
        """Return the rows with their lines, as `complete` does, and wait for the database."""
        wanted = self._find_keys(rows)
        return self._fill(rows, self._read(wanted) if wanted else {})

    def _find_keys(self, rows: Sequence[object]) -> dict[str, dict[Key, None]]:
        """Return the keys of the lines that rows do not state, by history."""
        wanted: dict[str, dict[Key, None]] = {}
        for name, history in self._histories.items():
            keys = (key_of(name, history, row) for row in rows)
            if found := {key: None for key in keys if key}:
                wanted[name] = found
        return wanted

    def _read(self, wanted: Mapping[str, Mapping[Key, None]]) -> dict[str, FetchedLines]:
        """Return the lines of histories for keys; raises SourceError."""
        if self._engine is None:
            raise _unavailable(wanted, "CREDIT_PD_FEATURES_URL is not set")
        if time.monotonic() < self._paused_until:
            raise _unavailable(wanted, "its database did not answer a moment ago")
        try:
            with snapshot(self._engine) as connection:
                return {
                    name: self._tables[name].read(connection, [*keys])
                    for name, keys in wanted.items()
                }
        except SQLAlchemyError as error:
            self._paused_until = time.monotonic() + PAUSE
            self._report(" ".join(str(error).split()))
            reason = f"its database cannot be read, or did not answer within {self._deadline:g} s"
            raise _unavailable(wanted, reason) from error

    def _fill(self, rows: Sequence[object], fetched: Mapping[str, FetchedLines]) -> list[Completed]:
        return [self._fill_row(row, fetched) for row in rows]

    def _fill_row(self, row: object, fetched: Mapping[str, FetchedLines]) -> Completed:
        facts: Facts = {}
        lines_of: dict[str, list[Line]] = {}
        for name, (lines, as_of) in fetched.items():
            if key := key_of(name, self._histories[name], row):
                counted = self._before(name, lines[key], row)
                lines_of[name] = counted
                facts[name] = {"lines": len(counted), "as_of": as_of.isoformat()}
        return Completed({**row, **lines_of} if isinstance(row, dict) else row, facts)

    def _before(self, name: str, lines: list[Line], row: object) -> list[Line]:
        """Return the lines before the day of the decision: later ones would change nothing."""
        date = self._histories[name].date
        day = row.get(self._date) if isinstance(row, dict) else None
        if not isinstance(day, str):
            return lines  # the row is refused
        return [line for line in lines if not _is_later(line.get(date), day)]


def _is_later(date: object, day: str) -> bool:
    """Tell whether a line has a date of `day` or later; what is no date is refused later."""
    return isinstance(date, str) and bool(DATE.fullmatch(date)) and date >= day


def _unavailable(wanted: Mapping[str, object], reason: str) -> SourceError:
    name = next(iter(wanted))
    return SourceError(name, "source_unavailable", f"{name} is not fetched: {reason}")
