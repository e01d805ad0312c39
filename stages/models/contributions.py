"""Shapley values of features, summed to the raw fields that a person knows."""

from __future__ import annotations

import numpy as np

from stages.features.matrix import Features, Floats


def sum_by_field(contributions: Floats, features: Features) -> dict[str, Floats]:
    """Return the contribution of each raw field (n,) from those of the features (n, F).

    The contribution of a ratio goes in halves to its two fields: neither does anything without the
    other, so their Shapley shares of it are equal.
    """
    sums = {field.name: np.zeros(len(contributions)) for field in features.inputs}
    for values, sources in zip(contributions.T, features.sources, strict=True):
        for name in sources:
            sums[name] += values / len(sources)
    return sums
