"""Models of the JSON objects that are sent and answered about decisions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Key

Verdict = Literal["approve", "refer", "decline"]
VISIBLE = r"^[^\x00]*[^\x00\s][^\x00]*$"  # not blank, and without NUL, which PostgreSQL refuses
Probability = Annotated[float, Key(ge=0, le=1)]


class Shape(BaseModel):
    """A JSON object that has these fields and no others."""

    model_config = ConfigDict(extra="forbid")


class Error(Shape):
    """A problem of a field ("" for the whole request), the allowed values and the given one."""

    field: str
    message: str
    allowed: str | None
    got: Any


class Errors(Shape):
    """The errors of a refused request. A refused application gets no score."""

    errors: Annotated[list[Error], Key(min_length=1)]


class Reason(Shape):
    """A principal reason: a field or ratio, and a sentence that is true of its value."""

    field: str
    text: str


class Identity(Shape):
    """The model, policy, data, image and git commit that decided; null if unknown."""

    model: str | None
    policy: str | None
    data: str | None
    image: str | None
    git_commit: str | None


class Answer(Shape):
    """A decision as it is recorded in the ledger."""

    prediction_id: str
    default_probability: Probability
    prediction: Annotated[Literal[0, 1], Key(description="1 if a default is expected")]
    decision: Verdict
    credit_score: int
    rating: str
    reasons: list[Reason]
    identity: Identity
    timestamp: str


class Row(Shape):
    """One row of a batch: its index from 0, and either its decision or its errors."""

    index: int
    decision: Answer | None = None
    errors: list[Error] | None = None


class Rows(Shape):
    """The rows of a batch in the order of the request."""

    results: list[Row]


class Value(Shape):
    """The applicant's value of a field or ratio."""

    field: str
    title: str
    unit: str
    value: Any


class Contribution(Shape):
    """What a fact, a field with its ratios or a group, adds to the margin and to the score."""

    title: str
    features: list[str]
    values: list[Value]
    contribution: float
    points: float


class Change(Shape):
    """A field that would have to change."""

    field: str
    title: str
    unit: str
    before: Annotated[Any, Key(alias="from")]
    after: Annotated[Any, Key(alias="to")]
    until: Annotated[Any, Key(description="the last value that is approved; null: all beyond are")]


class Way(Shape):
    """Changes that, made at the same time, lead to this decision."""

    changes: list[Change]
    default_probability: Probability
    credit_score: int
    decision: Verdict


class Alternatives(Shape):
    """What would change the decision; `proved`: no smaller change of one or two fields would."""

    statement: str
    proved: bool
    ways: list[Way]


class Explanation(Shape):
    """A decision and its explanation: `base_value` and the contributions add up to `margin`."""

    default_probability: Probability
    prediction: Literal[0, 1]
    decision: Verdict
    credit_score: int
    rating: str
    reasons: list[Reason]
    base_value: float
    margin: float
    contributions: list[Contribution]
    what_would_change_it: Alternatives
    identity: Identity


class Override(Shape):
    """An officer's decision about a referred case."""

    prediction_id: Annotated[str, Key(max_length=64, pattern=VISIBLE)]
    decision: Literal["approve", "decline"]
    reason: Annotated[str, Key(max_length=2000, pattern=VISIBLE)]
    author: Annotated[str, Key(max_length=200, pattern=VISIBLE)]


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


class RecentDecisions(Shape):
    """Recent decisions, newest first; `next_before` is the `before` of the next page."""

    records: list[RecordedDecision]
    next_before: int | None


class Ready(Shape):
    """The answer while decisions can be made and recorded."""

    status: Literal["ready"]


class Health(Shape):
    """Whether decisions can be made and recorded now, and the reason if not."""

    status: Literal["ready", "unavailable"]
    reason: str | None
    model: str | None


class Golden(Shape):
    """The number of golden records, and whether the service scored each as the pipeline did."""

    records: int
    identical: bool


class ModelInfo(Shape):
    """The winner, its metrics, the parts of its contract that a form needs, and the policy."""

    winner: str
    model: dict[str, Any]
    identity: Identity
    golden: Golden
    metrics: dict[str, Any]
    contract: dict[str, Any]
    policy: dict[str, Any]
    example: dict[str, Any]
