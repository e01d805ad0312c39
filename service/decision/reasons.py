"""Word the principal reasons why an application is referred or declined.

A reason is a fact that raises this applicant's risk above the expected one: the strongest one, and
others of which the exact Shapley values, in log-odds, add up to `LEAST`. Its sentence follows from
the applicant's value (see `sentences`), never only from the contribution, and calls a value high or
low only where a usual one would not raise the PD (see `usual_values`). Hard rules that apply come
first. Protected attributes are never features, so they are never reasons.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from service.decision.sentences import Sentences, UsualRange
from service.decision.usual_values import UsualValues
from stages.contract.derived import Derived
from stages.contract.schema import Contract
from stages.features.facts import Fact, are_empty, group_features, sum_by_fact
from stages.features.matrix import Features, Floats, MissingReason
from stages.policy.rules import HardRule

MOST = 4  # the usual number of principal reasons (Regulation B, commentary to 1002.9(b)(2))
LEAST = 0.1  # log-odds: about a tenth of the odds of default; no weaker fact is a further reason

Reason = dict[str, str]


@dataclass(frozen=True)
class Approved:
    """What is usual for approved applicants, by feature, as `evaluate` found it.

    `ranges` hold the usual range of numbers, and `contributions` the mean Shapley values: those
    rank the facts of an applicant whose every fact is as good as expected, and who is yet refused.
    """

    ranges: dict[str, UsualRange] = field(default_factory=dict)
    contributions: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, described: dict[str, Any]) -> Approved:
        """Return what `models/reference.json: approved` describes."""
        features = described["features"]
        return cls(
            {
                name: UsualRange(*facts["range"])
                for name, facts in features.items()
                if facts["range"]
            },
            {name: float(facts["contribution"]) for name, facts in features.items()},
        )


class ScoredApplication(NamedTuple):
    """One application: what its features contribute (F,), and their values (F,).

    `against` tells whether a fact raises the risk above the expected one. Where none does, the
    contributions are those above the mean of approved applicants. `directed` (F,) tells which
    features may be called high or low.
    """

    values: list[float]
    row: list[float]
    against: bool
    directed: list[bool]


class ReasonWriter:
    """Words the contributions of features as reasons.

    `facts` are the features grouped by what they say to a person; each is one reason at most.
    `predict` returns the model's PDs (n,) of features (n, F).
    """

    def __init__(
        self,
        contract: Contract,
        features: Features,
        approved: Approved,
        predict: Callable[[Floats], Floats],
    ) -> None:
        self._usual_values = UsualValues(features, approved.ranges, predict)
        self.facts = group_features(contract, features)
        self._features = features
        self._parts, self._explained_by = features.parts, features.explained_by
        self._typical = np.array([approved.contributions.get(n, 0.0) for n in features.names])
        self._field_of = {missing: field for field, missing in features.explained_by.items()}
        self._sentences = {
            j: Sentences(part, approved.ranges.get(part.name))
            for j, part in enumerate(features.parts)
            if not isinstance(part, MissingReason)
        }
        self._fact_of = {features.names[j]: fact for fact in self.facts for j in fact.features}

    def __call__(
        self,
        contributions: Floats,
        x: Floats,
        pd: Floats,
        rules: Sequence[Sequence[HardRule]],
    ) -> list[list[Reason]]:
        """Return the reasons of n applications, the strongest first.

        `contributions` (n, F) are in log-odds, `x` (n, F) are the features, `pd` (n,) their PDs,
        and `rules` (n,) those that each application breaks.
        """
        above = sum_by_fact(contributions, self.facts).max(axis=1) > 0
        values = np.where(above[:, None], contributions, contributions - self._typical)
        sums = sum_by_fact(values, self.facts)
        order = np.argsort(-sums, axis=1, kind="stable")
        counts = np.maximum((sums >= LEAST).sum(axis=1), sums.max(axis=1) > 0)
        directed = self._usual_values.are_better(x, pd, values > 0)
        columns = (order, counts, values, x, above, directed)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            self._write([self.facts[k] for k in ranked[:count]], ScoredApplication(*case), broken)
            for (ranked, count, *case), broken in zip(rows, rules, strict=True)
        ]

    def _write(
        self, ranked: list[Fact], case: ScoredApplication, rules: Sequence[HardRule]
    ) -> list[Reason]:
        """Return the reasons of one application from the facts that raise its risk, in order."""
        reasons = [{"field": rule.parsed.left, "text": rule.reason} for rule in rules]
        stated = [self._fact_of.get(reason["field"]) for reason in reasons]
        unstated = (fact for fact in ranked if fact not in stated)
        chosen = islice(unstated, max(0, MOST - len(reasons)))
        return reasons + [self._reason(fact, case) for fact in chosen]

    def _reason(self, fact: Fact, case: ScoredApplication) -> Reason:
        """Return the reason of a fact, by the strongest feature of which a sentence is true."""
        values, row = case.values, case.row
        raising = sorted((j for j in fact.features if values[j] > 0), key=lambda j: -values[j])
        for j in raising:
            if text := self._state(j, case):
                return {"field": self._parts[self._field_of.get(j, j)].name, "text": text}
        j = self._field_of.get(raising[0], raising[0])
        value = None if self._is_empty(j, row) else row[j]
        text = self._sentences[j].undirected_sentence(value, case.against)
        return {"field": self._parts[j].name, "text": text}

    def _state(self, j: int, case: ScoredApplication) -> str:
        """Return the sentence that feature j makes true; "" where its value has no direction."""
        row, place = case.row, self._field_of.get(j, j)
        sentences = self._sentences[place]
        if math.isnan(row[place]):
            meaning = self._explained_by.get(place)
            return sentences.missing(0 if meaning is None else int(row[meaning]))
        if place != j or self._is_empty(j, row):
            return ""
        return sentences.find_sentence(row[j], case.directed[j])

    def _is_empty(self, j: int, row: list[float]) -> bool:
        """Return whether feature j may be the substitute for a formula without a value."""
        part = self._parts[j]
        if not isinstance(part, Derived) or part.when_empty != row[j]:
            return False
        return bool(are_empty(self._features, j, np.array(row)))
