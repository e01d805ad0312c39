"""Word the principal reasons why an application is referred or declined.

A reason is a feature that raises this applicant's risk above the expected one, by its exact Shapley
value in log-odds. Hard rules that apply come first. Protected attributes are never features, so
they are never reasons. The texts are the contract's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.contract.schema import Contract, Derived, Field
from stages.features.matrix import Features, Floats
from stages.judging.policy import HardRule

MOST = 4  # the usual number of principal reasons (Regulation B, commentary to 1002.9(b)(2))

Reason = dict[str, str]


class ReasonWriter:
    """Words the contributions of features as reasons.

    `typical` (F,) is what features contribute for approved applicants on average. It ranks the
    features of an applicant whose every feature is as good as expected, and who is yet refused.
    """

    def __init__(self, contract: Contract, features: Features, typical: Floats) -> None:
        parts: dict[str, Field | Derived] = {**contract.fields, **contract.derived}
        self._parts = [parts[name] for name in features.names]
        self._typical = typical

    def __call__(self, contributions: Floats, rules: Sequence[HardRule] = ()) -> list[Reason]:
        """Contributions (F,) in log-odds and broken rules → reasons, the strongest first."""
        reasons = [{"field": rule.parsed.left, "text": rule.reason} for rule in rules]
        raising = ranked(contributions) or ranked(contributions - self._typical)
        for place in raising[:MOST]:
            part = self._parts[place]
            text = part.reason or f"{part.title or part.name} carries a higher risk"
            reasons.append({"field": part.name, "text": text})
        return reasons[: max(MOST, len(rules))]


def ranked(values: Floats) -> list[int]:
    """Return the places of values above 0, the largest first; equal ones keep their order."""
    order = np.argsort(-values, kind="stable")
    return [int(j) for j in order if values[j] > 0]
