"""Take from a recorded decision what a letter to the applicant may say, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from service.letters.creditor import Creditor, LetterError
from stages.models.calibration import NEARLY_CERTAIN

MOST_REASONS = 4  # Regulation B, commentary to 1002.9(b)(2)

Record = Mapping[str, Any]
"""A recorded decision as `EntryHistory.as_dict` returns it."""


@dataclass(frozen=True)
class Score:
    """A credit score with the lowest and the highest one that there can be, and its date."""

    points: int
    lowest: int
    highest: int
    date: date


@dataclass(frozen=True)
class Letter:
    """Everything that a template may show.

    `outcome` is the final one: that of the person who decided about a referred case, where one has.
    `reasons` are those of that outcome, and `key_factors` what lowered the score. `score` is None
    where a rule of the policy decided whatever the score.
    """

    outcome: str
    number: str
    reference: str | None
    assessed: date
    decided: date
    by_person: bool
    reasons: tuple[str, ...]
    key_factors: tuple[str, ...]
    score: Score | None
    creditor: Creditor


def letter_about(record: Record, creditor: Creditor) -> Letter:
    """Return the content of the letter about a recorded decision; raises LetterError."""
    if record.get("erased"):
        raise LetterError(f"{record['id']} was erased: nothing is recorded that a letter can state")
    overrides = record["overrides"]
    final = overrides[-1] if overrides else record
    texts = [reason["text"] for reason in record["reasons"]]
    rules = {rule["reason"] for rule in (record["policy"] or {}).get("rules", ())}
    outcome = final["decision"]
    # Where a person has declined, the reason that counts is the one that this person stated.
    reasons = [final["reason"]] if overrides else texts
    if outcome == "decline" and not reasons:
        raise LetterError(f"{record['id']} has no recorded reason, and a notice must state one")
    return Letter(
        outcome=outcome,
        number=record["id"],
        reference=record.get("reference"),
        assessed=day_of(record["time"]),
        decided=day_of(final["time"]),
        by_person=bool(overrides),
        reasons=tuple(reasons[:MOST_REASONS]) if outcome == "decline" else (),
        key_factors=tuple(text for text in texts if text not in rules)[:MOST_REASONS],
        score=score_of(record),
        creditor=creditor,
    )


def day_of(time: str) -> date:
    """Return the day (UTC) of a recorded time."""
    return datetime.fromisoformat(time).date()


def score_of(record: Record) -> Score | None:
    """Return the score by which the policy decided, None where a rule decided whatever the score.

    Raises LetterError where the policy of that time was not recorded, so that neither the range of
    scores nor the part of the rules is known.
    """
    policy = record["policy"]
    if policy is None:
        raise LetterError(
            f"{record['id']} was decided by a policy that was not recorded, so the range of its "
            "scores is not known: write this letter by hand"
        )
    pd = record["default_probability"]
    by_score = "approve"
    if pd >= policy["approve_below"]:
        by_score = "decline" if pd >= policy["decline_from"] else "refer"
    if by_score != record["decision"]:
        return None
    ends = sorted(points(policy, end) for end in (NEARLY_CERTAIN, 1 - NEARLY_CERTAIN))
    lowest, highest = math.floor(ends[0]), math.ceil(ends[1])
    return Score(round(record["credit_score"]), lowest, highest, day_of(record["time"]))


def points(policy: Mapping[str, Any], pd: float) -> float:
    """Return the score of a PD on the scale of a recorded policy (see `Policy.score`)."""
    odds = math.log1p(-pd) - math.log(pd) - math.log(policy["base_odds"])
    return float(policy["base_score"] + policy["pdo"] / math.log(2) * odds)
