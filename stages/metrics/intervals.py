"""95 % intervals of figures and of their differences.

Most are percentile intervals of the bootstrap (Efron 1979). Two figures are raised by noise, and
resampling adds noise to noise: the calibration error has an interval of its own
(`calibration_error`), and KS, a maximum, is moved down by the bias that resampling shows. Their
differences between two models are recentred on the difference of the estimates. A rate of few
events has Wilson's interval (1927):
resampling rows without a bad loan never shows one, so that a percentile interval is 0 to 0.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stages.metrics import calibration_error
from stages.metrics.clusters import Clusters, Codes, design_effect
from stages.metrics.metrics import check_cut_off, check_values, count_rows, figures
from stages.metrics.ranked_rows import (
    MAX_CELLS,
    Bools,
    Columns,
    Counts,
    Floats,
    Positions,
    RankedRows,
    check_rows,
)

LEVEL = 0.95
RESAMPLES = 1000
THREADS = 2
DEFINED = 0.95  # share of resamples in which a figure must be defined to have an interval
RAISED = ("ece", "ks")  # by the noise of resampling
KS_BIAS = 1.5  # times what resampling shows
FEW = 10  # events or their opposite, below which a rate has Wilson's interval
CHUNK = 65_536  # counts held at a time and thread: fits the processor's cache, bounds memory


class Interval(NamedTuple):
    """An estimate and its 95 % interval; NaN where undefined."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Draws:
    """Figures on the rows as they are, and on every resample of them."""

    estimates: dict[str, float]
    resampled: Columns  # (resamples,) per figure
    bad: Bools  # (n,) outcomes in the rows' order: pairs must have the same
    seed: int
    special: dict[str, Interval]  # of figures that noise raises, and of rates of few events
    observed: dict[str, float]  # estimates with the noise of outcomes, as resamples have it


def draw_rows(rows: int, seed: int, resample: int) -> Positions:
    """Draw n rows with replacement (n,): the same for the same n, seed and resample."""
    return np.random.default_rng([seed, resample]).integers(0, rows, rows)


def bootstrap(
    bad: ArrayLike,
    pd: ArrayLike,
    cut_off: float,
    *,
    approved: ArrayLike | None = None,
    means: Mapping[str, ArrayLike] | None = None,
    ratios: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    cluster: Codes | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Draws:
    """Compute every figure of `metrics.summary` on resamples of the n rows with replacement.

    `means` adds figures by name, each the mean of a finite value (n,) per row, such as the profit
    of each decision; `ratios` adds sums of a value over sums of another, such as profit over money
    lent. Rows of one `cluster` (n,) are drawn together. The resamples depend on n, clusters, `seed`
    and `resamples` alone, so two models on the same rows are resampled alike, whatever the number
    of threads. More than `MAX_CELLS` distinct PDs are gathered with their neighbours in resamples,
    never in estimates. ValueError as `summary`.
    """
    outcome, _ = check_rows(bad, pd)
    rows = len(outcome)
    if resamples < 1:
        raise ValueError(f"`resamples` must be an integer >= 1; got {resamples}")
    added = {name: (value, np.ones(rows)) for name, value in (means or {}).items()}
    sums = {
        name: tuple(check_values(name, part, rows) for part in parts)
        for name, parts in {**added, **(ratios or {})}.items()
    }
    exact = RankedRows.of(bad, pd, check_cut_off(cut_off), approved)
    counts = count_rows(exact)
    calibration = Interval(*calibration_error.interval(exact, counts, cluster))
    observed = {name: float(value[0]) for name, value in figures(exact, counts, counts).items()}
    estimates = observed | {"ece": calibration.estimate}
    estimates |= {name: _quotient(part, whole) for name, (part, whole) in sums.items()}

    ranked = RankedRows.of(bad, pd, cut_off, approved, max_cells=MAX_CELLS)
    plain = count_rows(ranked)
    together = None if cluster is None else Clusters(cluster)

    def resample(span: range) -> Columns:
        tables = np.empty((len(span), len(ranked.pd), 2, 2), dtype=np.int64)
        added = {name: np.empty(len(span)) for name in sums}
        for place, number in enumerate(span):
            drawn = together.draw(seed, number) if together else draw_rows(rows, seed, number)
            tables[place] = ranked.count(drawn)
            for name, (part, whole) in sums.items():
                added[name][place] = _quotient(part[drawn], whole[drawn])
        return {**figures(ranked, plain, Counts.of(tables)), **added}

    step = max(1, CHUNK // (4 * len(ranked.pd)))
    spans = [range(i, min(i + step, resamples)) for i in range(0, resamples, step)]
    with ThreadPoolExecutor(THREADS) as pool:
        chunks = list(pool.map(resample, spans))
    resampled = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in estimates}
    if len(ranked.pd) < len(exact.pd):  # undo what ties of neighbours do to a figure
        for name, value in figures(ranked, plain, plain).items():
            resampled[name] += observed[name] - value[0]
    ks = _ks_interval(exact, counts, estimates["ks"], resampled["ks"], cluster)
    special = {"ece": calibration, "ks": ks}
    if cluster is None:
        special |= _intervals_of_few(exact, counts, estimates)
    return Draws(estimates, resampled, outcome, seed, special, {**estimates, **observed})


def _quotient(part: Floats, whole: Floats) -> float:
    """Return the sum of one column over that of another, NaN where that is 0."""
    total = float(whole.sum())
    return float(part.sum()) / total if total > 0 else float("nan")


def _ks_interval(
    ranked: RankedRows,
    counts: Counts,
    observed: float,
    resampled: Floats,
    cluster: Codes | None,
) -> Interval:
    """Return KS with the interval of the gap of two shares at its threshold, less its bias.

    A maximum over thresholds exceeds the gap at the true best one. Resampling shows only a part of
    that, since its maxima start from a threshold that is already chosen (benches/coverage.py).
    """
    defined = resampled[np.isfinite(resampled)]
    if not np.isfinite(observed) or len(defined) < DEFINED * len(resampled):
        return Interval(observed, float("nan"), float("nan"))
    good = np.cumsum(counts.goods[0]) / counts.all_goods[0]
    bad = np.cumsum(counts.bads[0]) / counts.all_bads[0]
    widest = int(np.argmax(np.abs(good - bad)))
    shares = ((good[widest], counts.all_goods[0]), (bad[widest], counts.all_bads[0]))
    error = np.sqrt(sum(share * (1 - share) / rows for share, rows in shares))
    if cluster is not None:
        is_bad, below = ranked.keys % 2 == 1, ranked.keys // 4 <= widest
        share, rows = (np.where(is_bad, b, g) for b, g in zip(shares[1], shares[0], strict=True))
        error *= np.sqrt(design_effect(np.where(is_bad, -1, 1) * (below - share) / rows, cluster))
    centre = observed - KS_BIAS * (float(defined.mean()) - observed)
    margin = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    return Interval(observed, max(0.0, centre - margin), min(1.0, centre + margin))


def _intervals_of_few(
    ranked: RankedRows, counts: Counts, estimates: Mapping[str, float]
) -> dict[str, Interval]:
    """Return the Wilson intervals of the rates that are of fewer than FEW events or others."""
    rows = float(counts.rows.sum())
    among = {
        "bad_rate": rows,
        "approval_rate": rows,
        "approved_bad_rate": float(counts.approved_goods[0] + counts.approved_bads[0]),
        "recall": float(counts.all_bads[0]),
        "precision": float(counts.rows[:, ranked.cut :].sum()),
    }
    return {
        name: wilson(estimates[name], count)
        for name, count in among.items()
        if count and min(estimates[name], 1 - estimates[name]) * count < FEW - 0.5
    }


def wilson(rate: float, count: float) -> Interval:
    """Return the interval of a rate of `count` independent rows (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    scale = 1 + z * z / count
    centre = (rate + z * z / (2 * count)) / scale
    margin = z / scale * float(np.sqrt(rate * (1 - rate) / count + (z / (2 * count)) ** 2))
    return Interval(rate, min(rate, centre - margin), max(rate, centre + margin))


def percentile_intervals(draws: Draws) -> dict[str, Interval]:
    """Return the interval of every figure; NaN where it or many of its resamples are."""
    plain = {
        name: _interval(name, estimate, draws.resampled[name])
        for name, estimate in draws.estimates.items()
    }
    return {name: draws.special.get(name, interval) for name, interval in plain.items()}


def paired_intervals(champion: Draws, challenger: Draws) -> dict[str, Interval]:
    """Return the interval of challenger minus champion for every figure that both have.

    The calibration errors are compared as observed: both carry the noise of the same outcomes.

    ValueError unless both were drawn from the same rows with the same seed and number of resamples.
    """
    _checked_pair(champion, challenger)
    return {
        name: _interval(
            name,
            challenger.observed[name] - estimate,
            challenger.resampled[name] - champion.resampled[name],
        )
        for name, estimate in champion.observed.items()
        if name in challenger.observed
    }


def _checked_pair(champion: Draws, challenger: Draws) -> None:
    if not np.array_equal(champion.bad, challenger.bad):
        rows = f"{len(champion.bad)} and {len(challenger.bad)} rows"
        raise ValueError(f"a pair must have the same rows, in the same order; got {rows}")
    plans = [(draws.seed, len(draws.resampled["bad_rate"])) for draws in (champion, challenger)]
    if plans[0] != plans[1]:
        came = f"{plans[0]} and {plans[1]}"
        raise ValueError(f"a pair must have the same seed and number of resamples; got {came}")


def _interval(name: str, estimate: float, resampled: Floats) -> Interval:
    defined = resampled[np.isfinite(resampled)]
    if not np.isfinite(estimate) or len(defined) < DEFINED * len(resampled):
        return Interval(estimate, float("nan"), float("nan"))
    if name in RAISED:
        defined = defined - defined.mean() + estimate
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(estimate, float(low), float(high))
