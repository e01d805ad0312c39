"""The JSON objects of decisions: answers, batches and explanations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Key

from service.api.description.schemas.parts import (
    Error,
    Identity,
    Probability,
    Reason,
    Shape,
    Verdict,
)


class EarlierDecision(Shape):
    """An earlier decision about the same case; `final` is a person's decision about it."""

    prediction_id: str
    timestamp: str
    decision: Verdict
    final: Verdict | None


class Case(Shape):
    """The decision's number in its case, and the newest of the decisions before it."""

    number: int
    earlier: list[EarlierDecision]


class FetchedLines(Shape):
    """How many lines of a history before the decision were fetched, and when it was loaded."""

    lines: int
    as_of: str


Fetched = Annotated[
    dict[str, FetchedLines] | None,
    Key(description="the histories whose lines the service fetched by the request's key"),
]


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
    sources: Fetched = None
    reference: str | None = None
    case: Case | None = None


class BatchRow(Shape):
    """One row of a batch: its index from 0, and either its decision or its errors."""

    index: int
    decision: Answer | None = None
    errors: list[Error] | None = None


class BatchRows(Shape):
    """The rows of a batch in the order of the request."""

    results: list[BatchRow]


class Value(Shape):
    """The applicant's value of a field or ratio."""

    field: str
    title: str
    unit: str
    value: object


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
    before: Annotated[object, Key(alias="from")]
    after: Annotated[object, Key(alias="to")]
    until: Annotated[
        object, Key(description="the last value that is approved; null: all beyond are")
    ]


class Way(Shape):
    """Changes that, made at the same time, lead to this decision."""

    changes: list[Change]
    default_probability: Probability
    credit_score: int
    decision: Verdict


class Alternatives(Shape):
    """What would change the decision; `proved` if no smaller change of one or two fields would."""

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
    sources: Fetched = None
