"""95 % intervals of figures and of their differences.

Most are percentile intervals of the bootstrap (Efron 1979). Where those miss the truth too often,
others stand in: Wilson's for rates (`rate_intervals`), and intervals of their own for two figures
that noise raises, KS (`ks_interval`) and the calibration error (`calibration_error`). The
calibration slope and all differences between two models are normal around their estimate, with the
bootstrap's standard error, to which those of decisions add two rows (`ratio_intervals`); so are the
log-odds of the area under precision and recall (Boyd, Eng and Page 2013), which stays in 0 to 1.
`benches/judging/coverage.py` counts how often each holds the truth.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from stages.metrics import calibration_error
from stages.metrics.clusters import Codes, standard_errors
from stages.metrics.ks_interval import ks_interval
from stages.metrics.metrics import check_cut_off, check_values, compute_figures, count_rows
from stages.metrics.ranked_rows import (
    MAX_CELLS,
    Bools,
    Columns,
    Floats,
    RankedRows,
    ResampledCounts,
    check_rows,
    draw_times,
    weighted_sums,
)
from stages.metrics.rate_intervals import Interval, in_log_odds, intervals_of_rates
from stages.metrics.ratio_intervals import moves_of_one_row

RESAMPLES = 1000  # a bound then varies by a twentieth of its distance from the estimate
THREADS = 2
DEFINED = 0.95  # share of resamples in which a figure must be defined to have an interval
NORMAL = ("calibration_slope",)  # resampling moves its percentiles to one side
LOG_ODDS = ("pr_auc",)  # the same, and the noise is less towards 0 and 1
# Resamples repeat bads, so that a precision varies less than in new rows: the standard error of a
# log-odds is raised by a share of SCARCE to the number of bads (benches/judging/coverage.py).
SCARCE = 6
CHUNK = 65_536  # counts held at a time and thread: fits the processor's cache, bounds memory


@dataclass(frozen=True)
class Draws:
    """Figures on the rows as they are, and on every resample of them."""

    estimates: dict[str, float]
    resampled: Columns  # (resamples,) per figure
    bad: Bools  # (n,) outcomes in the rows' order: pairs must have the same
    seed: int
    cut_off: float
    special: dict[str, Interval]  # of figures whose percentiles miss the truth
    squared_error: float  # of calibration, less its noise: what resamples of `ece` are about
    standard_errors: float  # to either side of an estimate: more where few clusters say much
    one_row: dict[str, float]  # how far one row that is decided otherwise can move a figure


def bootstrap(
    bad: ArrayLike,
    pd: ArrayLike,
    cut_off: float,
    *,
    approved: ArrayLike | None = None,
    means: Mapping[str, ArrayLike] | None = None,
    ratios: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    stakes: Mapping[str, tuple[float, float]] | None = None,
    cluster: Codes | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Draws:
    """Compute every figure of `metrics.summary` on resamples of the n rows with replacement.

    `means` adds figures by name, each the mean of a finite value (n,) per row, such as the profit
    of each decision; `ratios` adds sums of a value over sums of another, such as profit over money
    lent; `stakes` say what a unit of a profit gains and loses. Rows of one `cluster` (n,) are drawn
    together. The resamples depend on n, clusters, `seed` and `resamples` alone, so two models on
    the same rows are resampled alike, whatever the number of threads. More than `MAX_CELLS`
    distinct PDs are gathered with their neighbours in resamples, never in estimates. ValueError as
    `summary`.
    """
    outcome, _ = check_rows(bad, pd)
    rows = len(outcome)
    if resamples < 1:
        raise ValueError(f"`resamples` must be an integer >= 1; got {resamples}")
    added = {name: (value, np.ones(rows)) for name, value in (means or {}).items()}
    sums = {
        name: (check_values(name, part, rows), check_values(name, whole, rows))
        for name, (part, whole) in {**added, **(ratios or {})}.items()
    }
    exact = RankedRows.of(bad, pd, check_cut_off(cut_off), approved)
    counts = count_rows(exact)
    calibration = Interval(*calibration_error.interval(exact, counts, cluster))
    observed = {
        name: float(value[0]) for name, value in compute_figures(exact, counts, counts).items()
    }
    estimates = observed | {"ece": calibration.estimate}
    for name, (part, whole) in sums.items():
        estimates[name] = _quotient(float(part.sum()), float(whole.sum()))

    ranked = RankedRows.of(bad, pd, cut_off, approved, max_cells=MAX_CELLS)
    plain = count_rows(ranked)
    # Rows of a cluster lie together, for the processor's cache.
    order = np.arange(rows) if cluster is None else np.argsort(cluster, kind="stable")
    group = None if cluster is None else np.unique(cluster[order], return_inverse=True)[1]
    keys = ranked.keys[order]
    columns = {id(column): column[order] for pair in sums.values() for column in pair}

    def resample(span: range) -> Columns:
        tables = np.empty((len(span), len(ranked.pd), 2, 2))
        added = {name: np.empty(len(span)) for name in sums}
        for place, number in enumerate(span):
            times = draw_times(rows, group, seed, number)
            tables[place] = ranked.count(keys, times)
            totals = {n: float(weighted_sums(times[None], c)[0]) for n, c in columns.items()}
            for name, pair in sums.items():
                added[name][place] = _quotient(*(totals[id(column)] for column in pair))
        return {**compute_figures(ranked, plain, ResampledCounts.of(tables)), **added}

    step = max(1, CHUNK // (4 * len(ranked.pd)))
    spans = [range(i, min(i + step, resamples)) for i in range(0, resamples, step)]
    with ThreadPoolExecutor(THREADS) as pool:
        chunks = list(pool.map(resample, spans))
    resampled = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in estimates}
    if len(ranked.pd) < len(exact.pd):  # undo what ties of neighbours do to a figure
        for name, value in compute_figures(ranked, plain, plain).items():
            resampled[name] += observed[name] - value[0]
    special = {"ece": calibration, **intervals_of_rates(exact, sums, cluster, stakes)}
    defined = _drop_undefined(estimates["ks"], resampled["ks"])
    if len(defined):
        special["ks"] = ks_interval(exact, counts, defined, cluster)
    wide = standard_errors(outcome - outcome.mean(), cluster)
    return Draws(
        *(estimates, resampled, outcome, seed, cut_off, special),
        squared_error=observed["ece"],
        standard_errors=wide,
        one_row=moves_of_one_row(exact, sums, cluster),
    )


def _quotient(part: float, whole: float) -> float:
    """Return one sum over another, NaN where that is 0."""
    return part / whole if whole > 0 else float("nan")


def percentile_intervals(draws: Draws) -> dict[str, Interval]:
    """Return the interval of every figure; NaN where it or many of its resamples are."""
    intervals = {}
    for name, estimate in draws.estimates.items():
        stated = draws.special.get(name)
        normal = name in (*NORMAL, *LOG_ODDS)
        resampled = draws.resampled[name]
        stated = stated or _interval(estimate, resampled, draws.standard_errors, normal=normal)
        if name in LOG_ODDS:
            stated = in_log_odds(stated, wider=1 + SCARCE / max(1, int(draws.bad.sum())))
        intervals[name] = stated
    return intervals


def paired_intervals(champion: Draws, challenger: Draws) -> dict[str, Interval]:
    """Return the interval of challenger minus champion for every figure that both have.

    Decisions that agree on all rows leave room for one more of each side that does not, unless all
    is the same. ValueError unless both were drawn from the same rows with the same seed and number
    of resamples.
    """
    _check_pair(champion, challenger)
    both = [name for name in champion.estimates if name in challenger.estimates]
    moved = {name: challenger.resampled[name] - champion.resampled[name] for name in both}
    same = champion.cut_off == challenger.cut_off
    same = same and not any(np.nan_to_num(values).any() for values in moved.values())
    sides = () if same else (champion, challenger)
    intervals = {
        name: _interval(
            challenger.estimates[name] - champion.estimates[name],
            moved[name],
            champion.standard_errors,
            normal=True,
            more=[draws.one_row.get(name, 0.0) for draws in sides],
        )
        for name in both
    }
    return intervals | {"ece": _difference_of_calibration_errors(champion, challenger)}


def _difference_of_calibration_errors(champion: Draws, challenger: Draws) -> Interval:
    """Return the interval of the difference of two calibration errors.

    Their squares less noise have no bias, so the interval is that of the difference of squares,
    brought to the scale of the errors by the mean of the squares. It holds the truth too often
    where both models are calibrated, since resampling adds noise to noise.
    """
    old, new = champion.squared_error, challenger.squared_error
    resampled = challenger.resampled["ece"] - champion.resampled["ece"]
    squares = _interval(new - old, resampled, champion.standard_errors, normal=True)
    middle = max(0.0, (old + new) / 2)

    def root(difference: float) -> float:
        mean = max(middle, abs(difference) / 2)
        return float(np.sqrt(mean + difference / 2) - np.sqrt(mean - difference / 2))

    estimate = challenger.estimates["ece"] - champion.estimates["ece"]
    low, high = root(squares.low), root(squares.high)
    return Interval(estimate, min(low, estimate), max(high, estimate))


def _check_pair(champion: Draws, challenger: Draws) -> None:
    if not np.array_equal(champion.bad, challenger.bad):
        rows = f"{len(champion.bad)} and {len(challenger.bad)} rows"
        raise ValueError(f"a pair must have the same rows, in the same order; got {rows}")
    plans = [(draws.seed, len(draws.resampled["bad_rate"])) for draws in (champion, challenger)]
    if plans[0] != plans[1]:
        came = f"{plans[0]} and {plans[1]}"
        raise ValueError(f"a pair must have the same seed and number of resamples; got {came}")


def _interval(
    estimate: float,
    resampled: Floats,
    wide: float,
    *,
    normal: bool,
    more: Sequence[float] = (),
) -> Interval:
    """Return the percentile interval, or the normal one with the standard error of resamples.

    The percentiles are those that a normal figure has at `wide` standard errors (Hesterberg 2015).
    The normal one allows for the moves by rows that no resample has, `more`.
    """
    defined = _drop_undefined(estimate, resampled)
    if not len(defined):
        return Interval(estimate, float("nan"), float("nan"))
    if normal:
        margin = wide * float(np.sqrt(defined.var() + np.sum(np.square(more))))
        return Interval(estimate, estimate - margin, estimate + margin)
    tail = NormalDist().cdf(-wide)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high))


def _drop_undefined(estimate: float, resampled: Floats) -> Floats:
    """Return the resamples (w,) where the figure is defined, none where it is too seldom."""
    defined = resampled[np.isfinite(resampled)]
    enough = np.isfinite(estimate) and len(defined) >= DEFINED * len(resampled)
    return defined if enough else defined[:0]
