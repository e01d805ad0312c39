"""The principal reasons of a referred or declined application, in the contract's words.

A reason is a feature that raises this applicant's risk above the expected one, by its exact Shapley
value in log-odds; hard rules that apply come first. Protected attributes are never features, so
they are never reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stages.contract.schema import Contract, Derived, Field
from stages.features.matrix import Features, Floats
from stages.judging.policy import HardRule

MOST = 4  # the usual number of principal reasons (Regulation B, commentary to 1002.9(b)(2))

Reason = dict[str, str]


class Reasons:
    """Puts contributions into words.

    `typical` (F,) is what features contribute for approved applicants on average. It only ranks
    the features of an applicant for whom nothing is worse than expected, and yet all too little.
    """

    def __init__(self, contract: Contract, features: Features, typical: Floats) -> None:
        parts: dict[str, Field | Derived] = {**contract.fields, **contract.derived}
        self._parts = [parts[name] for name in features.names]
        self._typical = typical

    def __call__(self, contributions: Floats, rules: Sequence[HardRule] = ()) -> list[Reason]:
        """Contributions (F,) in log-odds and broken rules → reasons, the weightiest first."""
        found = [{"field": rule.parsed.left, "text": rule.reason} for rule in rules]
        raising = ranked(contributions) or ranked(contributions - self._typical)
        for place in raising[:MOST]:
            part = self._parts[place]
            text = part.reason or f"{part.title or part.name} carries a higher risk"
            found.append({"field": part.name, "text": text})
        return found[: max(MOST, len(rules))]


def ranked(values: Floats) -> list[int]:
    """The places of what is above 0, the largest first; equal values in the features' order."""
    order = np.argsort(-values, kind="stable")
    return [int(j) for j in order if values[j] > 0]


def fields_of(features: Features) -> Mapping[str, tuple[str, ...]]:
    """For each feature that a reason may name, the raw fields it is made from."""
    return dict(zip(features.names, features.sources, strict=True))
