"""The JSON objects of recorded decisions: entries of the ledger, lists and receipts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Key

from service.api.description.schemas.parts import Identity, Probability, Reason, Shape, Verdict


class RecordedEntry(BaseModel):
    """An entry of the ledger: its content and its place in the chain."""

    model_config = ConfigDict(extra="allow")

    id: str
    time: str
    kind: Literal["decision", "override", "proposal", "rejection", "note", "outcome"]


class RecordedDecision(RecordedEntry):
    """A recorded decision, and the later entries that refer to it.

    Where `erased` is true, the application and the reasons are empty.
    """

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
    erased: bool = False
    overrides: list[RecordedEntry]
    proposals: list[RecordedEntry]
    rejections: list[RecordedEntry]
    notes: list[RecordedEntry]
    outcomes: list[RecordedEntry]
    final_decision: Annotated[Verdict, Key(description="a person's, where a person has decided")]
    pending: Annotated[
        RecordedEntry | None, Key(description="the proposal that waits for a second officer")
    ]


class ReceiptEntry(Shape):
    """An entry's place in the ledger, the hash of the one before it, and its canonical JSON."""

    sequence: int
    previous_hash: str
    payload: str


class PersonalPart(Shape):
    """What stands apart from an entry as canonical JSON, and the salt of its commitment."""

    salt: str
    content: str


class Receipt(Shape):
    """The proof that an entry stands in a checkpoint; `verify_receipt.py` checks it offline.

    `personal` is null where it was erased; a receipt of an earlier release's entry has none.

    `proof` are hashes in base64 that lead from the entry to the root of the Merkle tree, and
    `checkpoint` is the signed note of C2SP's tlog-checkpoint with its cosignatures.
    """

    format: str
    entry: ReceiptEntry
    proof: list[str]
    checkpoint: str
    personal: PersonalPart | None = None


class CaseDecisions(Shape):
    """The decisions of the case with this reference, newest first."""

    reference: str
    records: list[RecordedDecision]


class RecentDecisions(Shape):
    """Recent decisions, newest first; `next_before` is the `before` of the next page."""

    records: list[RecordedDecision]
    next_before: int | None


class OpenReferrals(Shape):
    """Open referrals, oldest first; `next_after` is the `after` of the next page.

    `open` is their number, whatever the filters.
    """

    records: list[RecordedDecision]
    next_after: int | None
    open: int
