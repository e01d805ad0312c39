"""How features relate to the outcome and to one another, fitted on training rows alone.

A number is a quantity. An unordered category is a set of levels: its code is a name, so no figure
here depends on the order in which a contract lists the levels.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol

import numpy as np

from stages.compute.engine import MapFunction, run_here
from stages.contract.schema import ContractError
from stages.features.feature_correlation import (
    DIGITS,
    Columns,
    InMemory,
    associate,
    correlate,
    variance_inflation,
)
from stages.features.information_value import (
    Outcomes,
    category_cells,
    chance_information_value,
    information_value_of,
    number_cells,
    weight_of_evidence,
)
from stages.features.matrix import Features, Floats


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
        return cls.fit_columns(features, InMemory(x, bad), bins=bins, clip=clip)

    @classmethod
    def fit_columns(
        cls,
        features: Features,
        table: Columns,
        *,
        bins: int,
        clip: float,
        run: MapFunction = run_here,
    ) -> Fitted:
        """Fit as `fit` does on a table of which one column after the other is read."""
        described = run(
            partial(describe_column, table, features, bins=bins, clip=clip),
            range(len(features.names)),
        )
        fill, low, high, mean, sd, iv, bias = np.array(described).T
        correlation = correlate(table, len(features.names), run)
        rounded = (
            np.round(np.maximum(iv - bias, 0), DIGITS),
            np.round(bias, DIGITS),
            np.round(variance_inflation(correlation), DIGITS),
            correlation,
            np.round(associate(table, features.categories, correlation, run), DIGITS),
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


def describe_column(
    table: Columns, features: Features, j: int, *, bins: int, clip: float
) -> tuple[float, ...]:
    """Return fill, low, high, mean, sd, IV and its bias of a feature, and keep it scaled."""
    column, bad = table.feature(j), table.bad
    present = column[~np.isnan(column)]
    if not len(present):
        raise ContractError(
            f"{features.names[j]}: every value is missing in the {len(column):,} training rows"
        )
    fill = np.median(present)
    low, high = np.quantile(present, [clip, 1 - clip])
    values = np.clip(np.where(np.isnan(column), fill, column), low, high)
    mean, sd = values.mean(), values.std()
    if j in features.categories:
        cell = category_cells(column)
        values = weight_of_evidence(cell, bad)[cell]
    else:
        cell = number_cells(column, bins)
    spread = values.std()
    scaled = (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))
    table.keep_scaled(j, scaled)
    iv, bias = information_value_of(cell, bad), chance_information_value(cell, bad)
    return float(fill), float(low), float(high), float(mean), float(sd), iv, bias


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
