"""Word the principal reasons why an application is referred or declined.

A reason is a feature that raises this applicant's risk above the expected one, by its exact Shapley
value in log-odds. Hard rules that apply come first. Protected attributes are never features, so
they are never reasons. The texts are the contract's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.contract.schema import Contract
from stages.features.matrix import Features, Floats, MissingReason
from stages.policy import HardRule

MOST = 4  # the usual number of principal reasons (Regulation B, commentary to 1002.9(b)(2))

Reason = dict[str, str]


class ReasonWriter:
    """Words the contributions of features as reasons.

    `typical` (F,) is what features contribute for approved applicants on average. It ranks the
    features of an applicant whose every feature is as good as expected, and who is yet refused.
    """

    def __init__(self, contract: Contract, features: Features, typical: Floats) -> None:
        self._parts, self._explained_by = features.parts, features.explained_by
        self._typical = typical

    def __call__(
        self, contributions: Floats, rules: Sequence[HardRule] = (), row: Floats | None = None
    ) -> list[Reason]:
        """Contributions (F,) in log-odds and broken rules → reasons, the strongest first.

        `row` (F,) holds the features: a value that is missing for a reason is worded by it.
        """
        reasons = [{"field": rule.parsed.left, "text": rule.reason} for rule in rules]
        raising = ranked(contributions) or ranked(contributions - self._typical)
        worded = [self._reason(place, row) for place in raising]
        reasons += [r for n, r in enumerate(worded) if r not in worded[:n]][:MOST]
        return reasons[: max(MOST, len(rules))]

    def _reason(self, place: int, row: Floats | None) -> Reason:
        part, place = self._parts[place], self._explained_by.get(place, place)
        explained = self._parts[place]
        if isinstance(explained, MissingReason):
            part, code = explained.field, 0 if row is None else int(row[place])
            if code:
                text = f"{part.title or part.name}: {explained.levels[code]}"
                return {"field": part.name, "text": text}
        text = part.reason or f"{part.title or part.name} carries a higher risk"
        return {"field": part.name, "text": text}


def ranked(values: Floats) -> list[int]:
    """Return the places of values above 0, the largest first; equal ones keep their order."""
    order = np.argsort(-values, kind="stable")
    return [int(j) for j in order if values[j] > 0]
