"""The state that the handlers of a worker share: the model, the ledger and the refusals."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from service.api import metrics
from service.api.refusals import Refusals
from service.api.requests import refusal
from service.decision.engine import Engine
from service.decision.hashes import NotReady
from service.ledger import EntryHistory, Ledger, LedgerUnavailable
from service.sources.completion import Completed, FeatureSources
from service.sources.fetched import SourceError


class EngineState:
    """One engine, which is None until `load` has loaded it, and one ledger."""

    def __init__(self, root: Path, ledger: Ledger, max_batch: int = 1000) -> None:
        self.root, self.ledger, self.max_batch = root, ledger, max_batch
        self.refusals = Refusals()
        self.engine: Engine | None = None
        self.sources: FeatureSources | None = None
        self.problem = "the model has not been loaded yet"

    def load(self) -> None:
        """Load the engine; when that fails, `problem` says why and no decision is made."""
        with suppress(LedgerUnavailable):  # readiness says why; the tables are created later
            self.ledger.prepare()
        try:
            self.engine = Engine.load(self.root)
            self.ledger.policy = self.engine.policy_record
            self.sources = FeatureSources(self.engine)
        except NotReady as error:
            self.problem = str(error)

    def loaded_engine(self) -> Engine:
        """Return the engine; refuses with status 503 when no model is loaded."""
        if self.engine is None:
            raise refusal(503, f"no decisions are made: {self.problem}")
        return self.engine

    def close(self) -> None:
        """Record what still waits for the ledger, and close the databases."""
        self.ledger.close()
        if self.sources is not None:
            self.sources.close()

    async def complete(self, row: object) -> Completed:
        """Return an application with the lines that its contract has a source for."""
        return (await self.complete_all((row,)))[0]

    async def complete_all(self, rows: Sequence[object]) -> list[Completed]:
        """Return applications as `complete` does; raises SourceError."""
        if self.sources is None:
            return [Completed(row, {}) for row in rows]
        try:
            return await self.sources.complete(rows)
        except SourceError as error:
            metrics.SOURCES.labels(error.field, error.code).inc()
            raise

    async def find_decision(self, entry_id: str) -> EntryHistory:
        """Return a recorded decision with the later entries about it; refuses an unknown id."""
        if "\0" in entry_id:  # PostgreSQL accepts no text with NUL
            raise refusal(404, "no decision has this id")
        record = await self.ledger.in_thread(self.ledger.get, entry_id)
        if record is None or record.entry.kind != "decision":
            raise refusal(404, "no decision has this id")
        return record
