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

from service import settings
from service.decision.applications import Applications, InvalidApplication
from service.decision.engine import Engine as DecisionEngine
from service.decision.history import key_of
from service.decision.problems import Problem
from service.ledger.storage.connections import Reporter
from service.sources.connections import THREADS
from service.sources.feast import FeastReader
from service.sources.fetched import FetchedLines, Key, Line, Reader, SourceAway, Wanted
from service.sources.tables import SqlReader

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
SETTINGS = {"sql": "CREDIT_PD_FEATURES_URL", "feast": "CREDIT_PD_FEAST_URL"}
"""The setting that finds the sources of each kind."""
WAITING = 16  # requests of a worker that may wait for the sources
PAUSE = 1.0  # seconds after a failure in which nobody asks again

Application = dict[str, Any]
Facts = dict[str, dict[str, Any]]
"""For each history that was fetched, the number of lines before the decision, and their `as_of`."""


class Completed(NamedTuple):
    """A row with the lines that were fetched for it, and what is said about them."""

    row: object
    facts: Facts
    unknown: Sequence[str] = ()
    """The histories whose sources have no record of the row's key."""

    def check(self, applications: Applications) -> Application:
        """Return the row as a checked application; raises InvalidApplication.

        A fetched line that breaks the contract has the code `source_invalid`.
        """
        try:
            return applications.check(self.row)
        except InvalidApplication as error:
            raise InvalidApplication([self._blame(problem) for problem in error.problems]) from None

    def _blame(self, problem: Problem) -> Problem:
        """Return a problem of fetched lines as one of their source."""
        if problem.field in self.unknown:
            message = f"{problem.field}: its source has no record of this key"
            return problem._replace(code="source_unknown", message=message)
        if problem.field.partition("[")[0] in self.facts:
            message = f"as fetched, {problem.message}"
            return problem._replace(code="source_invalid", message=message)
        return problem


class FeatureSources:
    """The sources of a model's contract; nothing is connected before the first request needs it."""

    def __init__(self, engine: DecisionEngine) -> None:
        histories = engine.applications.histories
        self._kinds = {name: h.source.kind for name, h in histories.items() if h.source}
        self._histories = {name: histories[name] for name in self._kinds}
        self._date = str(engine.contract.date)
        self._readers = self._open_readers()
        self._paused_until = dict.fromkeys(SETTINGS, 0.0)
        self._threads = ThreadPoolExecutor(THREADS, "features")
        self._waiting, self._report = 0, Reporter("features")

    def _open_readers(self) -> dict[str, Reader]:
        """Return a reader for each kind of source that the contract names and a setting finds."""
        configured = settings.load()
        deadline, readers = configured.features_timeout / 1000, dict[str, Reader]()
        of = {
            kind: {n: h for n, h in self._histories.items() if self._kinds[n] == kind}
            for kind in SETTINGS
        }
        if of["sql"] and configured.features_url:
            readers["sql"] = SqlReader(configured.features_url, deadline, of["sql"])
        if of["feast"] and configured.feast_url:
            readers["feast"] = FeastReader(configured.feast_url, deadline, of["feast"])
        return readers

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown()
        for reader in self._readers.values():
            reader.close()

    async def complete(self, rows: Sequence[object]) -> list[Completed]:
        """Return the rows with their lines; raises SourceError."""
        wanted = self._find_keys(rows)
        if not wanted:
            return [Completed(row, {}) for row in rows]
        if self._waiting >= WAITING:
            raise SourceAway(next(iter(wanted)), "too many requests wait for its source")
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

    def _read(self, wanted: Wanted) -> dict[str, FetchedLines]:
        """Return the lines of histories for keys; raises SourceError."""
        fetched: dict[str, FetchedLines] = {}
        for kind in SETTINGS:
            if of_kind := {n: keys for n, keys in wanted.items() if self._kinds[n] == kind}:
                fetched |= self._ask(kind, of_kind)
        return fetched

    def _ask(self, kind: str, wanted: Wanted) -> dict[str, FetchedLines]:
        """Return the lines of histories from sources of a kind; raises SourceError."""
        name = next(iter(wanted))
        if kind not in self._readers:
            raise SourceAway(name, f"{SETTINGS[kind]} is not set")
        if time.monotonic() < self._paused_until[kind]:
            raise SourceAway(name, "its source did not answer a moment ago")
        try:
            return self._readers[kind].read(wanted)
        except SourceAway as error:
            self._paused_until[kind] = time.monotonic() + PAUSE
            self._report(f"{error}: {error.detail}")
            raise

    def _fill(self, rows: Sequence[object], fetched: Mapping[str, FetchedLines]) -> list[Completed]:
        return [self._fill_row(row, fetched) for row in rows]

    def _fill_row(self, row: object, fetched: Mapping[str, FetchedLines]) -> Completed:
        facts: Facts = {}
        lines_of: dict[str, list[Line]] = {}
        unknown = []
        for name, (lines, as_of) in fetched.items():
            key = key_of(name, self._histories[name], row)
            if key in lines:
                lines_of[name] = self._before(name, lines[key], row)
                facts[name] = {"lines": len(lines_of[name]), "as_of": as_of[key].isoformat()}
            elif key:
                unknown.append(name)
        row = {**row, **lines_of} if isinstance(row, dict) else row
        return Completed(row, facts, unknown)

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
