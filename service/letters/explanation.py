"""Take from a decision and its model what its explanation to the applicant may say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from service.decision.advice.explanation import explain
from service.decision.applications import InvalidApplication
from service.decision.engine import Engine
from service.decision.reasons import LEAST
from service.letters.content import Letter, Record, letter_about
from service.letters.creditor import Creditor
from stages.contract.fields.written_values import text as written

MOST = 4  # facts in favour


@dataclass(frozen=True)
class ExplanationLetter:
    """Everything that the template of an explanation may show, beside the letter's content.

    `against` are the recorded reasons. The facts in favour and the changes that would lead to
    approval are those of the model and the policy that decided; `explained` is False, and they are
    empty, where these are no longer the ones in use. Each change is a list of sentences; the lists
    are empty unless it is proved that no smaller change would do. `unproved` is True where changes
    are known and that is not proved of them.
    """

    against: tuple[str, ...]
    in_favour: tuple[str, ...] = ()
    changes: tuple[tuple[str, ...], ...] = ()
    explained: bool = False
    unproved: bool = False

    def beside(self, letter: Letter) -> dict[str, Any]:
        """Return what the template sees."""
        return asdict(letter) | asdict(self)


def explanation_about(record: Record, creditor: Creditor, engine: Engine | None) -> dict[str, Any]:
    """Return the content of the explanation of a recorded decision; raises LetterError."""
    letter = letter_about(record, creditor)
    against = tuple(reason["text"] for reason in record["reasons"])
    answer = explain_again(record, engine)
    if answer is None:
        return ExplanationLetter(against).beside(letter)
    in_favour = [
        in_words(fact["title"], fact["values"], record["application"])
        for fact in answer["contributions"]
        if fact["contribution"] <= -LEAST
    ]
    advice = answer["what_would_change_it"]
    ways = advice["ways"] if advice["proved"] and letter.outcome != "approve" else []
    changes = tuple(changes_in_words(way["changes"]) for way in ways)
    unproved = bool(advice["ways"]) and not advice["proved"]
    return ExplanationLetter(
        against, tuple(in_favour[:MOST]), changes, explained=True, unproved=unproved
    ).beside(letter)


def explain_again(record: Record, engine: Engine | None) -> dict[str, Any] | None:
    """Return what `/explain` answers about a recorded application.

    None unless the model and the policy are those that decided, and come to the recorded PD.
    """
    identity = record["identity"]
    if engine is None or any(engine.identity[n] != identity[n] for n in ("model", "policy")):
        return None
    try:
        application = engine.applications.check(record["application"])
    except InvalidApplication:
        return None
    answer = explain(engine, application)
    return answer if answer["default_probability"] == record["default_probability"] else None


def in_words(title: str, values: Sequence[dict[str, Any]], application: Mapping[str, Any]) -> str:
    """Return a fact with the applicant's values of it that stand in the application.

    A fact of several fields names each of them: its title alone would not say what is meant.
    """
    stated = [one for one in values if one["field"] in application]
    texts = {one["title"]: value_in_words(one["value"], one["unit"]) for one in stated}
    if title in texts or not texts:
        return f"{title}: {texts[title]}" if texts.get(title) else title
    named = "; ".join(f"{name} {text or 'not stated'}" for name, text in texts.items())
    return f"{title} ({named})"


def changes_in_words(changes: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return changes as sentences; the limit of one of two holds while the other is as stated."""
    condition = " with the other as stated" if len(changes) > 1 else ""
    return tuple(change_in_words(change, condition) for change in changes)


def change_in_words(change: dict[str, Any], condition: str = "") -> str:
    """Return a change of one field as a sentence; the condition is that of its limit."""
    before, after, until = (
        value_in_words(change[key], change["unit"]) for key in ("from", "to", "until")
    )
    end = f", but no further than {until}{condition}" if until and until != after else ""
    return f"{change['title']}: {after} instead of {before or 'nothing stated'}{end}"


def value_in_words(value: object, unit: str) -> str:
    """Return a value as people read it, "" for a missing one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    number = f"{value:,.12g}" if isinstance(value, int | float) else written(value)
    return f"{number} {unit}" if unit else number
