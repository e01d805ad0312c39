"""The JSON objects of recorded decisions: entries of the ledger, overrides and receipts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Key

from service.api.description.schemas.parts import Identity, Probability, Reason, Shape, Verdict

VISIBLE = r"^[^\x00]*[^\x00\s][^\x00]*$"  # not blank, and without NUL, which PostgreSQL refuses


class Override(Shape):
    """An officer's decision about a referred case; with users, `author` is the caller's name."""

    prediction_id: Annotated[str, Key(max_length=64, pattern=VISIBLE)]
    decision: Literal["approve", "decline"]
    reason: Annotated[str, Key(max_length=2000, pattern=VISIBLE)]
    author: Annotated[str | None, Key(max_length=200, pattern=VISIBLE)] = None


class RecordedEntry(BaseModel):
    """An entry of the ledger: its content and its place in the chain."""

    model_config = ConfigDict(extra="allow")

    id: str
    time: str
    kind: Literal["decision", "override", "outcome"]


class RecordedOverride(RecordedEntry):
    """The entry of an override."""

    refers_to: str
    decision: Literal["approve", "decline"]
    reason: str
    author: str


class RecordedDecision(RecordedEntry):
    """A recorded decision, and the later entries that refer to it."""

    application: dict[str, Any]
    default_probability: Probability
    decision: Verdict
    credit_score: int
    rating: str
    reasons: list[Reason]
    identity: Identity
    sequence: int
    previous_hash: str
    hash: str
    policy: dict[str, Any] | None
    overrides: list[RecordedEntry]
    outcomes: list[RecordedEntry]


class ReceiptEntry(Shape):
    """An entry's place in the ledger, the hash of the one before it, and its canonical JSON."""

    sequence: int
    previous_hash: str
    payload: str


class Receipt(Shape):
    """The proof that an entry stands in a checkpoint; `verify_receipt.py` checks it alone.

    `proof` are hashes in base64 that lead from the entry to the root of the Merkle tree, and
    `checkpoint` is the signed note of C2SP's tlog-checkpoint with its cosignatures.
    """

    format: str
    entry: ReceiptEntry
    proof: list[str]
    checkpoint: str


class CaseDecisions(Shape):
    """The decisions of the case with this reference, newest first."""

    reference: str
    records: list[RecordedDecision]


class RecentDecisions(Shape):
    """Recent decisions, newest first; `next_before` is the `before` of the next page."""

    records: list[RecordedDecision]
    next_before: int | None
