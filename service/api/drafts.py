"""Draft decisions: what is recorded about an application and what is answered."""

from __future__ import annotations

from typing import Any, NamedTuple

from service.api.requests import as_dicts
from service.decision.applications import InvalidApplication
from service.decision.engine import Decision, Engine
from service.ledger import Draft, draft

MOST_PROBLEMS = 1000  # of a batch; rows refused after so many get one problem each


class DraftedDecision(NamedTuple):
    """A decision, the entry that is to record it, and its answer, valid once it is recorded."""

    decision: Decision
    entry: Draft
    answer: dict[str, Any]


def decide_rows(
    engine: Engine, rows: list[Any]
) -> tuple[list[dict[str, Any]], list[int], list[DraftedDecision]]:
    """Decide about the rows of a batch that keep the contract.

    Returns one result per row, filled in for those that are refused; the places of the others; and
    their decisions.
    """
    results: list[dict[str, Any]] = [{} for _ in rows]
    kept: list[int] = []
    refusals = 0
    for index, row in enumerate(rows):
        try:
            engine.applications.check(row)
            kept.append(index)
        except InvalidApplication as error:
            most = max(1, MOST_PROBLEMS - refusals)
            refusals += len(error.problems[:most])
            results[index] = {"index": index, "errors": as_dicts(error.problems[:most])}
    applications = [rows[index] for index in kept]
    return results, kept, draft_decisions(engine.decide_rows(applications), applications)


def draft_decisions(
    decisions: list[Decision], applications: list[dict[str, Any]]
) -> list[DraftedDecision]:
    """Return the entries and the answers of decisions about applications."""
    drafts = []
    for decision, application in zip(decisions, applications, strict=True):
        recorded = decision_content(decision)
        entry = draft("decision", recorded | {"application": application})
        answer = {"prediction_id": entry.id, **recorded, "timestamp": entry.time}
        drafts.append(DraftedDecision(decision, entry, answer))
    return drafts


def decision_content(decision: Decision) -> dict[str, Any]:
    """Return a decision as it is recorded and answered, but for id and time."""
    return {name: getattr(decision, name) for name in Decision.__slots__}
