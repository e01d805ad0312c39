"""Turn decisions into entries for the ledger and answers for the client."""

from __future__ import annotations

from typing import Any, NamedTuple

from service.api.requests import as_dicts
from service.decision.applications import InvalidApplication
from service.decision.engine import Decision, Engine
from service.ledger import Draft, draft
from service.users.callers import Caller

MAX_PROBLEMS = 1000  # of a batch; each further refused row states one problem


JsonObject = dict[str, Any]


class DraftedDecision(NamedTuple):
    """A decision with the draft of its entry and its answer, which holds once it is recorded."""

    decision: Decision
    entry: Draft
    answer: JsonObject


def decide_rows(
    engine: Engine, rows: list[Any], caller: Caller | None = None
) -> tuple[list[JsonObject], list[int], list[DraftedDecision]]:
    """Decide about the rows of a batch that keep the contract.

    Returns three lists: one result per row, which states the errors of a refused row and is empty
    for the others; the indices of those others; and their decisions.
    """
    results: list[JsonObject] = [{} for _ in rows]
    kept: list[int] = []
    refusals = 0
    for index, row in enumerate(rows):
        try:
            engine.applications.check(row)
            kept.append(index)
        except InvalidApplication as error:
            shown = error.problems[: max(1, MAX_PROBLEMS - refusals)]
            refusals += len(shown)
            results[index] = {"index": index, "errors": as_dicts(shown)}
    applications = [rows[index] for index in kept]
    decisions = engine.decide_rows(applications)
    return results, kept, draft_decisions(decisions, applications, [caller] * len(kept))


def draft_decisions(
    decisions: list[Decision], applications: list[JsonObject], callers: list[Caller | None]
) -> list[DraftedDecision]:
    """Return each decision with the draft of its entry and its answer."""
    drafts = []
    for decision, application, caller in zip(decisions, applications, callers, strict=True):
        recorded = decision_content(decision)
        asked: JsonObject = {"application": application}
        if caller is not None:
            asked["caller"] = caller.as_recorded()
        entry = draft("decision", recorded | asked)
        answer = {"prediction_id": entry.id, **recorded, "timestamp": entry.time}
        drafts.append(DraftedDecision(decision, entry, answer))
    return drafts


def decision_content(decision: Decision) -> JsonObject:
    """Return the fields of a decision that are both recorded and answered."""
    return {name: getattr(decision, name) for name in Decision.__slots__}
