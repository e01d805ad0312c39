"""How features relate to the outcome and to one another, fitted on training rows alone.

A number is a quantity. An unordered category is a set of levels: its code is a name, so no figure
here depends on the order in which a contract lists the levels.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from stages.contract.schema import ContractError
from stages.features.information_value import (
    Codes,
    Outcomes,
    category_cells,
    chance_information_value,
    information_value_of,
    number_cells,
    weight_of_evidence,
)
from stages.features.matrix import Features, Floats

DIGITS = 9
# An eigenvalue that the rounding of a correlation alone may have left is zero.
ROUNDING = 10.0**-DIGITS


@dataclass
class Fitted:
    """Facts about the F features of the training rows, by name or in the features' order.

    Attributes
    ----------
    iv : information value of each feature less `iv_bias`, at least 0.
    iv_bias : the information value that the same bins would show on average by chance.
    vif : variance inflation factor of each feature; infinite (null in JSON) where the other
        features determine it.
    correlation : (F, F) Pearson correlation, missing numbers at their fill and categories at the
        WoE of their level; `vif` follows from it.
    association : (F, F) strength from 0 to 1, corrected for small samples: |Pearson correlation| of
        two numbers, correlation ratio of a number and a category, Cramér's V of two categories.
    fill, low, high, mean, sd : median, clip bounds, and moments after clipping.
    """

    names: list[str]
    iv: list[float]
    iv_bias: list[float]
    vif: list[float]
    correlation: list[list[float]]
    association: list[list[float]]
    fill: list[float]
    low: list[float]
    high: list[float]
    mean: list[float]
    sd: list[float]

    @classmethod
    def fit(cls, features: Features, x: Floats, bad: Outcomes, *, bins: int, clip: float) -> Fitted:
        """Fit on the training matrix x (n, F) and outcomes bad (n,).

        `bins` cut a number for its information value; `clip` is the share of each tail that linear
        models do not see. Raises ContractError for a feature without any value.
        """
        width = x.shape[1]
        fill, low, high, mean, sd, iv, bias = np.empty((7, width))
        # The values of a column lie together, because each column is filled and read alone.
        scaled = np.empty(x.shape, order="F")
        levels: dict[int, Codes] = {}
        for j, name in enumerate(features.names):
            column = x[:, j]
            present = column[~np.isnan(column)]
            if not len(present):
                raise ContractError(
                    f"{name}: every value is missing in the {len(x):,} training rows"
                )
            fill[j] = np.median(present)
            low[j], high[j] = np.quantile(present, [clip, 1 - clip])
            values = np.clip(np.where(np.isnan(column), fill[j], column), low[j], high[j])
            mean[j], sd[j] = values.mean(), values.std()
            if j in features.categories:
                cell = levels[j] = category_cells(column)
                values = weight_of_evidence(cell, bad)[cell]
            else:
                cell = number_cells(column, bins)
            iv[j], bias[j] = information_value_of(cell, bad), chance_information_value(cell, bad)
            spread = values.std()
            scaled[:, j] = (values - values.mean()) / spread if spread > 0 else 0.0
        with threadpool_limits(1):
            correlation = np.round(scaled.T @ scaled / len(x), DIGITS)
        np.fill_diagonal(correlation, 1)
        rounded = (
            np.round(np.maximum(iv - bias, 0), DIGITS),
            np.round(bias, DIGITS),
            np.round(variance_inflation(correlation), DIGITS),
            correlation,
            np.round(associations(scaled, levels, correlation), DIGITS),
        )
        exact = (fill, low, high, mean, np.where(sd == 0, 1, sd))
        return cls(list(features.names), *(values.tolist() for values in (*rounded, *exact)))

    def to_json(self) -> str:
        """Return the facts as JSON text, an infinite VIF as null."""
        facts = asdict(self)
        facts["vif"] = [value if math.isfinite(value) else None for value in self.vif]
        return json.dumps(facts, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Fitted:
        """Read what `to_json` wrote."""
        facts = json.loads(text)
        facts["vif"] = [math.inf if value is None else value for value in facts["vif"]]
        return cls(**facts)


def variance_inflation(correlation: Floats) -> Floats:
    """Return the VIF of each feature, from their correlation matrix (F, F).

    It is the diagonal of the inverse, and infinite for a feature that is a linear combination of
    others. A feature that never varies correlates with none: its VIF is 1.
    """
    size = len(correlation)
    with threadpool_limits(1):
        values, vectors = np.linalg.eigh(correlation)
    share = vectors**2
    none = values <= size * ROUNDING
    finite = share[:, ~none] @ (1 / values[~none])
    determined = share[:, none].sum(axis=1) > ROUNDING
    return np.where(determined, np.inf, finite)


def associations(scaled: Floats, levels: dict[int, Codes], correlation: Floats) -> Floats:
    """Return the strength (F, F) with which each two features go together, from 0 to 1.

    `scaled` (n, F) holds the numbers, `levels` the level (n,) of each row by category.
    """
    strength = np.abs(correlation)
    for j, level in levels.items():
        for k in range(len(strength)):
            if k in levels:
                value = 1.0 if k == j else strength[k, j] if k < j else cramers_v(level, levels[k])
            else:
                value = correlation_ratio(scaled[:, k], level)
            strength[j, k] = strength[k, j] = value
    return strength


def correlation_ratio(values: Floats, level: Codes) -> float:
    """Return how far a category (n,) determines a number (n,): the root of epsilon squared.

    Epsilon squared is the share of variance between levels, less what levels of random members
    would show (Kelley 1935).
    """
    rows = np.bincount(level)
    used = rows > 0
    degrees = len(values) - int(used.sum())
    spread = float(np.sum((values - values.mean()) ** 2))
    if degrees <= 0 or spread == 0:
        return 0.0
    means = np.bincount(level, weights=values)[used] / rows[used]
    within = max(0.0, spread - float(rows[used] @ (means - values.mean()) ** 2))
    return math.sqrt(max(0.0, 1 - within / spread * (len(values) - 1) / degrees))


def cramers_v(first: Codes, second: Codes) -> float:
    """Return Cramér's V of two categories (n,) each, corrected for its bias (Bergsma 2013).

    Two categories that have nothing to do with each other show a chi-square of their degrees of
    freedom on average, so that is subtracted; and as many levels as fewer rows could fill are left.
    """
    n, width = len(first), int(second.max()) + 1
    rows, columns = np.bincount(first), np.bincount(second)
    pair, times = np.unique(first * width + second, return_counts=True)
    expected = rows[pair // width] * columns[pair % width]
    chi_square_per_row = float(np.sum(times**2 / expected)) - 1
    steps = int((rows > 0).sum()) - 1, int((columns > 0).sum()) - 1
    above_chance = chi_square_per_row - steps[0] * steps[1] / (n - 1)
    largest = min(step - step**2 / (n - 1) for step in steps)
    return math.sqrt(min(1.0, max(0.0, above_chance / largest))) if largest > 0 else 0.0


class NoFeatureLeft(ValueError):
    """The rules of a candidate leave no feature; the message names the strongest one."""


class SelectionRules(Protocol):
    """The parameters of a candidate that decide which features it keeps."""

    @property
    def min_iv(self) -> float:
        """The least information value."""
        ...

    @property
    def max_vif(self) -> float | None:
        """The largest variance inflation factor, or None for no limit."""
        ...

    @property
    def max_correlation(self) -> float | None:
        """The largest correlation with a feature of higher IV, or None for no limit."""
        ...


def select(fitted: Fitted, rules: SelectionRules) -> list[int]:
    """Return the indices of the features a candidate keeps: by IV, by association, then by VIF.

    Of two features too alike, and of features that inflate one another equally, the one of higher
    IV stays. Raises NoFeatureLeft where the rules leave none.
    """
    by_iv = sorted(range(len(fitted.names)), key=lambda j: (-fitted.iv[j], j))
    kept: list[int] = []
    association, limit = np.array(fitted.association), rules.max_correlation
    for j in by_iv:
        weak = fitted.iv[j] < rules.min_iv
        alike = limit is not None and any(association[j, k] > limit for k in kept)
        if not weak and not alike:
            kept.append(j)
    if not kept:
        best = by_iv[0]
        raise NoFeatureLeft(
            f"min_iv {rules.min_iv} leaves no feature; the highest IV is "
            f"{fitted.iv[best]:.3f} ({fitted.names[best]})"
        )
    correlation = np.array(fitted.correlation)
    while rules.max_vif is not None and len(kept) > 1:
        vif = np.round(variance_inflation(correlation[np.ix_(kept, kept)]), 6)
        # `kept` runs from the highest IV to the lowest: the last of equals is the weakest.
        worst = len(kept) - 1 - int(vif[::-1].argmax())
        if vif[worst] <= rules.max_vif:
            break
        kept.pop(worst)
    return sorted(kept)
