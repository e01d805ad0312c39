"""Sum the Shapley values of features to those of raw fields, which people know."""

from __future__ import annotations

import numpy as np

from stages.features.matrix import Features, Floats


def sum_by_field(contributions: Floats, features: Features) -> dict[str, Floats]:
    """Return the contribution (n,) of each raw field by name, from those of the features (n, F).

    Each field of a ratio has half of the ratio's contribution: neither field has an effect without
    the other, so their Shapley values are equal. The fields of another formula share its
    contribution equally too; that is a convention, and only their sum is a Shapley value.
    """
    sums = {field.name: np.zeros(len(contributions)) for field in features.inputs}
    for values, sources in zip(contributions.T, features.sources, strict=True):
        for name in sources:
            sums[name] += values / len(sources)
    return sums
