"""The state that the handlers of a worker share: the model, the ledger and the refusals."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from service.api.refusals import Refusals
from service.api.requests import refusal
from service.decision.engine import Engine
from service.decision.hashes import NotReady
from service.ledger import EntryHistory, Ledger, LedgerUnavailable


class EngineState:
    """One engine, which is None until `load` has loaded it, and one ledger."""

    def __init__(self, root: Path, ledger: Ledger, max_batch: int = 1000) -> None:
        self.root, self.ledger, self.max_batch = root, ledger, max_batch
        self.refusals = Refusals()
        self.engine: Engine | None = None
        self.problem = "the model has not been loaded yet"

    def load(self) -> None:
        """Load the engine; when that fails, `problem` says why and no decision is made."""
        with suppress(LedgerUnavailable):  # readiness says why; the tables are created later
            self.ledger.prepare()
        try:
            self.engine = Engine.load(self.root)
            self.ledger.policy = self.engine.policy_record
        except NotReady as error:
            self.problem = str(error)

    def loaded_engine(self) -> Engine:
        """Return the engine; refuses with status 503 when no model is loaded."""
        if self.engine is None:
            raise refusal(503, f"no decisions are made: {self.problem}")
        return self.engine

    async def find_decision(self, entry_id: str) -> EntryHistory:
        """Return a recorded decision with the later entries about it; refuses an unknown id."""
        if "\0" in entry_id:  # PostgreSQL accepts no text with NUL
            raise refusal(404, "no decision has this id")
        record = await self.ledger.in_thread(self.ledger.get, entry_id)
        if record is None or record.entry.kind != "decision":
            raise refusal(404, "no decision has this id")
        return record
