"""Turn decisions into entries for the ledger and answers for the client."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from service.api.cases import describe_cases, take_reference
from service.api.requests import as_dicts
from service.decision.applications import InvalidApplication
from service.decision.engine import Decision, Engine
from service.ledger import Draft, Ledger, draft
from service.sources.completion import Completed, Facts
from service.users.callers import Caller

MAX_PROBLEMS = 1000  # of a batch; each further refused row states one problem


JsonObject = dict[str, Any]


class Asked(NamedTuple):
    """A valid application, who sent it, the reference of its case, and what was fetched for it."""

    application: JsonObject
    caller: Caller | None
    reference: str | None
    sources: Facts | None = None


class DraftedDecision(NamedTuple):
    """A decision with the draft of its entry and its answer, which holds once it is recorded."""

    decision: Decision
    entry: Draft
    answer: JsonObject


def decide_rows(
    engine: Engine, rows: list[Completed], caller: Caller | None = None
) -> tuple[list[JsonObject], list[int], list[DraftedDecision]]:
    """Decide about the rows of a batch that keep the contract.

    Returns three lists: one result per row, which states the errors of a refused row and is empty
    for the others; the indices of those others; and their decisions.
    """
    results: list[JsonObject] = [{} for _ in rows]
    kept: list[int] = []
    asked: list[Asked] = []
    refusals = 0
    for index, completed in enumerate(rows):
        try:
            row, reference = take_reference(completed.row, engine.applications)
            application = completed._replace(row=row).check(engine.applications)
            asked.append(Asked(application, caller, reference, completed.facts))
            kept.append(index)
        except InvalidApplication as error:
            shown = error.problems[: max(1, MAX_PROBLEMS - refusals)]
            refusals += len(shown)
            results[index] = {"index": index, "errors": as_dicts(shown)}
    decisions = engine.decide_rows([each.application for each in asked])
    return results, kept, draft_decisions(decisions, asked, engine.applications.protected)


def draft_decisions(
    decisions: list[Decision], asked: list[Asked], protected: Collection[str]
) -> list[DraftedDecision]:
    """Return each decision with the draft of its entry and its answer.

    The `protected` fields of an application are recorded apart from the others.
    """
    drafts = []
    for decision, (application, caller, reference, sources) in zip(decisions, asked, strict=True):
        answered = decision_content(decision)
        if sources:
            answered["sources"] = sources
        if reference is not None:
            answered["reference"] = reference
        recorded: JsonObject = {**answered, "application": application}
        if caller is not None:
            recorded["caller"] = caller.as_recorded()
        entry = draft("decision", recorded, protected=protected)
        answer = {"prediction_id": entry.id, **answered, "timestamp": entry.time}
        drafts.append(DraftedDecision(decision, entry, answer))
    return drafts


async def link_cases(drafts: list[DraftedDecision], ledger: Ledger) -> list[DraftedDecision]:
    """Return the drafts with answers that list the earlier decisions of their cases."""
    references = {d.answer["reference"] for d in drafts if "reference" in d.answer}
    cases = await describe_cases(ledger, references)
    return [
        drafted._replace(answer={**drafted.answer, "case": cases[drafted.answer["reference"]]})
        if "reference" in drafted.answer
        else drafted
        for drafted in drafts
    ]


def decision_content(decision: Decision) -> JsonObject:
    """Return the fields of a decision that are both recorded and answered."""
    return {name: getattr(decision, name) for name in Decision.__slots__}
