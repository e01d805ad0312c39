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
from numpy.typing import NDArray
from scipy.special import gammaln
from threadpoolctl import threadpool_limits

from stages.contract.schema import ContractError
from stages.features.matrix import Features, Floats
from stages.params import Featurize

Codes = NDArray[np.intp]
Outcomes = NDArray[np.int64] | Floats
# Half a row in an empty cell keeps every WoE finite (Siddiqi 2006).
SMOOTHING = 0.5
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
    def fit(cls, features: Features, x: Floats, bad: Outcomes, config: Featurize) -> Fitted:
        """Fit on the training matrix x (n, F) and outcomes bad (n,).

        Raises ContractError for a feature without any value.
        """
        width = x.shape[1]
        fill, low, high, mean, sd, iv, bias = np.empty((7, width))
        # Columns that lie together: each is filled, and later read, on its own.
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
            low[j], high[j] = np.quantile(present, [config.clip, 1 - config.clip])
            values = np.clip(np.where(np.isnan(column), fill[j], column), low[j], high[j])
            mean[j], sd[j] = values.mean(), values.std()
            if j in features.categories:
                cell = levels[j] = category_cells(column)
                values = weight_of_evidence(cell, bad)[cell]
            else:
                cell = number_cells(column, config.bins)
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


def quantile_edges(known: Floats, bins: int) -> Floats:
    """Return ascending edges that cut the values (n,) at their quantiles into about `bins` bins.

    A bin holds its lower edge. A value that several quantiles share is a bin of its own: otherwise
    many zeros and a few recoveries, which only bad loans have, would share one bin.
    """
    quantiles = np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])
    edges, times = np.unique(quantiles, return_counts=True)
    values = np.unique(known)
    following = np.searchsorted(values, edges[times > 1], side="right")
    return np.union1d(edges, values[following[following < len(values)]])


def number_cells(x: Floats, bins: int) -> Codes:
    """Return the bin (n,) of each value of a quantity (n,).

    The values are cut at their quantiles into about `bins` bins; where there are few distinct
    values, each is a bin of its own. Missing values are the last bin.
    """
    present = x[~np.isnan(x)]
    edges = np.unique(present)[1:]
    if len(edges) >= bins:
        edges = quantile_edges(present, bins)
    return np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x, side="right"))


def category_cells(x: Floats) -> Codes:
    """Return the level (n,) of each code of a category (n,); missing values are the last level."""
    missing = np.isnan(x)
    last = np.nanmax(x, initial=-1) + 1
    return np.where(missing, last, x).astype(np.intp)


def smoothed_counts(cell: Codes, bad: Outcomes) -> tuple[Floats, Floats]:
    """Return the smoothed number of goods and of bads in each cell (k,); 0 where it has no row."""
    rows = np.bincount(cell)
    bads = np.bincount(cell, weights=bad)
    extra = np.where(rows > 0, SMOOTHING, 0.0)
    return np.asarray(rows - bads + extra), np.asarray(bads + extra)


def weight_of_evidence(cell: Codes, bad: Outcomes) -> Floats:
    """Return ln(share of bads / share of goods) of each cell (k,): higher is riskier."""
    good_count, bad_count = smoothed_counts(cell, bad)
    used = good_count > 0
    odds = np.divide(bad_count, good_count, out=np.ones(len(used)), where=used)
    return np.where(used, np.log(odds * good_count.sum() / bad_count.sum()), 0.0)


def information_value_of(cell: Codes, bad: Outcomes) -> float:
    """Return the sum over cells of (share of bads - share of goods) * WoE (Kullback 1959)."""
    good_count, bad_count = smoothed_counts(cell, bad)
    shares = bad_count / bad_count.sum() - good_count / good_count.sum()
    return float(shares @ weight_of_evidence(cell, bad))


def information_value(x: Floats, bad: Outcomes, bins: int, *, category: bool = False) -> float:
    """Return the IV of a feature x (n,) as its bins or levels show it, bias included.

    Quantities are cut as by `number_cells`, categories are counted by level.
    """
    cell = category_cells(x) if category else number_cells(x, bins)
    return information_value_of(cell, bad)


def chance_information_value(cell: Codes, bad: Outcomes) -> float:
    """Return the IV that cells (n,) show on average when the outcome has nothing to do with them.

    It is exact: the mean over all ways to deal the outcomes to the rows, where the bads of a cell
    are hypergeometric. For large cells it tends to `(k - 1) * (1 / goods + 1 / bads)`; small cells,
    which the smoothing holds back, show less.
    """
    sizes, times = np.unique(np.bincount(cell), return_counts=True)
    cells, n, bads = int(times[sizes > 0].sum()), len(cell), int(np.sum(bad))
    if cells < 2:
        return 0.0
    all_bads, all_goods = bads + SMOOTHING * cells, n - bads + SMOOTHING * cells
    total = 0.0
    for size, count in zip(sizes[sizes > 0].tolist(), times[sizes > 0].tolist(), strict=True):
        # The tails beyond nine standard deviations weigh nothing.
        middle, reach = size * bads / n, 9 * math.sqrt(size * bads * (n - bads)) / n + 20
        low, high = max(0, bads - n + size, middle - reach), min(size, bads, middle + reach)
        number = np.arange(int(low), int(high) + 1)
        bad_share = (number + SMOOTHING) / all_bads
        good_share = (size - number + SMOOTHING) / all_goods
        terms = (bad_share - good_share) * np.log(bad_share / good_share)
        total += count * float(hypergeometric(number, n, bads, size) @ terms)
    return total


def hypergeometric(number: Floats | Codes, n: int, bads: int, size: int) -> Floats:
    """Return the probability of each number (k,) of bads among `size` of n rows."""

    def log_choices(of: int, taken: Floats | Codes | int) -> Floats:
        logs = gammaln(of + 1) - gammaln(taken + 1) - gammaln(of - taken + 1)
        return np.asarray(logs, dtype=np.float64)

    ways = log_choices(bads, number) + log_choices(n - bads, size - number)
    return np.asarray(np.exp(ways - log_choices(n, size)))


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
    """Return Cramér's V of two categories (n,) each, corrected for its bias (Bergsma 2013)."""
    n, width = len(first), int(second.max()) + 1
    rows, columns = np.bincount(first), np.bincount(second)
    pair, times = np.unique(first * width + second, return_counts=True)
    expected = rows[pair // width] * columns[pair % width]
    squared = float(np.sum(times**2 / expected)) - 1
    r, c = int((rows > 0).sum()), int((columns > 0).sum())
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    corrected = squared - (r - 1) * (c - 1) / (n - 1)
    return math.sqrt(min(1.0, max(0.0, corrected / least))) if least > 0 else 0.0


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
    IV stays. Raises ValueError if none is left.
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
        raise ValueError(
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
