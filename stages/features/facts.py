"""The facts that a person is told of: features about the same thing count as one fact.

A field is a fact, and the ratios of which it is the numerator belong to it: the loan in relation to
the income is about the loan. A formula of another form is a fact of its own. Fields and formulas
with the same `reason: {group: ...}` are one fact together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.contract.derived import Derived
from stages.contract.fields.field import Field
from stages.contract.schema import Contract
from stages.features.matrix import Features, Floats, MissingReason


@dataclass(frozen=True)
class Fact:
    """A fact: what people call it, and the places of its features in the matrix."""

    title: str
    features: list[int]


def group_features(contract: Contract, features: Features) -> list[Fact]:
    """Return the facts of a model's features, in the order of their first features."""
    facts: dict[tuple[str, str], Fact] = {}
    for j, part in enumerate(features.parts):
        group = "" if isinstance(part, MissingReason) else part.reason.group
        about: Field | Derived = part.field if isinstance(part, MissingReason) else part
        if isinstance(about, Derived) and about.ratio:
            about = contract.columns[about.ratio.numerator]
        group = group or about.reason.group
        key = ("group", group) if group else ("field", about.name)
        facts.setdefault(key, Fact(group or about.title or about.name, [])).features.append(j)
    return list(facts.values())


def are_empty(features: Features, j: int, values: Floats) -> NDArray[np.bool_]:
    """Tell where feature j may be the value that stands in for a formula that has none.

    `values` (F, ...) are features. Nobody has a delay of 0 days who was never late: such a value
    says nothing about a person, and is not usual for anybody.
    """
    part = features.parts[j]
    if not isinstance(part, Derived) or part.when_empty is None:
        return np.zeros(values[j].shape, dtype=np.bool_)
    filled = np.asarray(values[j] == part.when_empty)
    if part.ratio is None or part.ratio.denominator not in features.names:
        return filled
    return np.asarray(filled & (values[features.names.index(part.ratio.denominator)] == 0))


def sum_by_fact(contributions: Floats, facts: list[Fact]) -> Floats:
    """Return the contribution of each of k facts (n, k) from those of the features (n, F)."""
    sizes = [len(fact.features) for fact in facts]
    order = [j for fact in facts for j in fact.features]
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)
    sums: Floats = np.add.reduceat(contributions[:, order], starts, axis=1)
    return sums
