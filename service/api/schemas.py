"""The shapes of what the service answers: the OpenAPI description and the clients know them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Key

Decided = Literal["approve", "refer", "decline"]
Probability = Annotated[float, Key(ge=0, le=1)]


class Shape(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid")


class Error(Shape):
    """What is wrong: the field ("" for the request as a whole), what is allowed, what came."""

    field: str
    message: str
    allowed: str | None
    got: Any


class Errors(Shape):
    """Why a request was refused; never a score beside it."""

    errors: Annotated[list[Error], Key(min_length=1)]


class Reason(Shape):
    """A principal reason: the field or ratio, and the contract's words for it."""

    field: str
    text: str


class Identity(Shape):
    """What answered; an identity that is not known is null."""

    model: str | None
    policy: str | None
    data: str | None
    image: str | None
    git_commit: str | None


class Answer(Shape):
    """A decision, as it stands in the ledger."""

    prediction_id: str
    default_probability: Probability
    prediction: Annotated[Literal[0, 1], Key(description="1 when default is expected")]
    decision: Decided
    credit_score: int
    rating: str
    reasons: list[Reason]
    identity: Identity
    timestamp: str


class Row(Shape):
    """One row of a batch: its place and either its decision or its errors."""

    index: int
    decision: Answer | None = None
    errors: list[Error] | None = None


class Rows(Shape):
    """A batch, in the order it came."""

    results: list[Row]


class Contribution(Shape):
    """What a field adds to the margin (log-odds of default), and to the credit score (points)."""

    field: str
    title: str
    unit: str
    value: Any
    contribution: float
    points: float


class Change(Shape):
    """A field that would have to change."""

    field: str
    title: str
    unit: str
    before: Annotated[Any, Key(alias="from")]
    after: Annotated[Any, Key(alias="to")]


class Way(Shape):
    """Changes that lead to approval together, and where they lead."""

    changes: list[Change]
    default_probability: Probability
    credit_score: int
    decision: Decided


class Alternatives(Shape):
    """What would change the decision, in words and as changes; each way was decided."""

    statement: str
    ways: list[Way]


class Explanation(Shape):
    """Why: `base_value` and the contributions add up to `margin`."""

    default_probability: Probability
    prediction: Literal[0, 1]
    decision: Decided
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

    prediction_id: Annotated[str, Key(min_length=1, max_length=64)]
    decision: Literal["approve", "decline"]
    reason: Annotated[str, Key(max_length=2000, pattern=r"\S")]
    author: Annotated[str, Key(max_length=200, pattern=r"\S")]


class Entry(BaseModel):
    """An entry of the ledger: what was recorded, and its place in the chain."""

    model_config = ConfigDict(extra="allow")

    id: str
    time: str
    kind: Literal["decision", "override", "outcome"]


class Overridden(Entry):
    """The entry of an override."""

    refers_to: str
    decision: Literal["approve", "decline"]
    reason: str
    author: str


class Record(Entry):
    """A decision as it was recorded, and the later entries that refer to it."""

    application: dict[str, Any]
    default_probability: Probability
    decision: Decided
    credit_score: int
    rating: str
    reasons: list[Reason]
    identity: Identity
    sequence: int
    previous_hash: str
    hash: str
    overrides: list[Entry]
    outcomes: list[Entry]


class Page(Shape):
    """Recent decisions, newest first; `next_before` asks for the next page."""

    records: list[Record]
    next_before: int | None


class Ready(Shape):
    """That decisions can be made and recorded."""

    status: Literal["ready"]


class Health(Shape):
    """Whether decisions are made and recorded now, and why not."""

    status: Literal["ready", "unavailable"]
    reason: str | None
    model: str | None


class Golden(Shape):
    """The records that the pipeline scored, scored again at start."""

    records: int
    identical: bool


class ModelInfo(Shape):
    """The winner, its figures, its contract (what a form needs) and the policy."""

    winner: str
    model: dict[str, Any]
    identity: Identity
    golden: Golden
    metrics: dict[str, Any]
    contract: dict[str, Any]
    policy: dict[str, Any]
    example: dict[str, Any]


class Outcome(Shape):
    """What became of a loan."""

    prediction_id: str
    bad: Literal[0, 1]
    date: str


class RefusedOutcome(Shape):
    """A row that was not recorded, and why."""

    row: int
    prediction_id: str
    reason: str


class OutcomesRecorded(Shape):
    """How many outcomes were recorded, and those that were not."""

    recorded: int
    refused: list[RefusedOutcome]


class DriftReport(BaseModel):
    """What monitoring found in a window of decisions; see `service.monitoring.drift.report`."""

    model_config = ConfigDict(extra="allow")

    id: int
    time: str
    window: int
    loudest: Literal["quiet", "notice", "warning", "alarm"]
    findings: list[dict[str, Any]]
    advice: str


class DriftReports(Shape):
    """Drift reports, newest first."""

    reports: list[DriftReport]
