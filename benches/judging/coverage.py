"""How often the 95 % intervals of the evaluation hold the truth, on books whose truth is known.

    python -m benches.judging.coverage --books 1000 --rows 1000 --kinds calibrated customers

Draws many small books of every kind, and prints for every figure, and for the difference of every
figure between two models, the share of books whose interval holds the truth. Books whose interval
is undefined do not count. 1,000 books of 1,000 rows take about five minutes for each kind.
`--seed` draws other books.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.judging import evaluation
from stages.judging.evaluation import Judged
from stages.metrics import calibration_error, intervals, metrics
from stages.metrics.intervals import Draws
from stages.metrics.ranked_rows import Bools, Floats, RankedRows
from stages.metrics.rate_intervals import Interval
from stages.metrics.weighted_metrics import bin_edges, sums_between
from stages.policy.decisions import DECISIONS, Policy

CUT_OFF = 0.13
LARGE = 1_000_000
SIZES = (1000, 2000, 10_000)
RESAMPLES = 400
MARGIN, LOSS = 0.08, 0.52
NOISE = 0.5  # of the challenger's log-odds
APPROVED, DECLINED = DECISIONS.index("approve"), DECISIONS.index("decline")
POLICY = Policy(
    margin=MARGIN,
    loss_given_default=LOSS,
    cut_off=CUT_OFF,
    refer_band=0,
    rules=[],
    pdo=20,
    base_score=600,
    base_odds=30,
    ratings={"all": 1.0},
)
STEPS = 1.5  # of log-odds between the PDs of a scorecard, its inverse
# What a book's PDs are like: calibrated, or not in one way; nearly constant, far apart, or few; or
# calibrated with LOANS of each customer, half of which share their luck.
BOOKS = ("calibrated", "extreme", "shifted", "bump", "constant", "separated", "scorecard")
CUSTOMERS = "customers"
LOANS = 4


def simulate(book: str, rows: int, seed: int) -> tuple[Bools, Floats, Floats]:
    """Return the outcomes, stated PDs and amounts (n,) of a book, one of BOOKS."""
    bad, stated, amounts, _, _ = draw(book, rows, seed)
    return bad, stated, amounts


def draw(book: str, rows: int, seed: int) -> tuple[Bools, Floats, Floats, Floats, Floats]:
    """Draw a book, with the PDs of a challenger and the true ones."""
    generator = np.random.default_rng([seed, rows])
    spread = {"constant": 0.15, "separated": 3.2}.get(book, 1.5)
    stated = generator.normal(-2.6, spread, rows)
    if book == "scorecard":
        stated = np.round(stated * STEPS) / STEPS
    true = {
        "extreme": 0.7 * stated - 0.6,
        "shifted": stated + 0.4,
        "bump": stated + 0.8 * (np.abs(stated + 1.5) < 0.5),
    }.get(book, stated)
    customer, luck = np.arange(rows), generator.random(rows)
    if book == CUSTOMERS:
        customer = customer // LOANS
        stated = true = stated[customer]
        luck = np.where(generator.random(rows)[customer] < 1 / 2, luck[customer], luck)
    bad = luck < expit(true)
    amounts = np.exp(generator.normal(10, 0.6, rows) + 0.2 * stated)
    challenger = stated + NOISE * generator.normal(size=rows)[customer]
    if book == "scorecard":
        challenger = np.round(challenger * STEPS) / STEPS
    return bad, expit(stated), amounts, expit(challenger), expit(true)


def expit(odds: Floats) -> Floats:
    """Return the probabilities of log-odds."""
    return np.asarray(1 / (1 + np.exp(-odds)))


def bootstrap(
    bad: Bools,
    pd: Floats,
    amounts: Floats,
    resamples: int,
    seed: int = 0,
    cluster: NDArray[np.int64] | None = None,
) -> Draws:
    """Resample the figures by row and by money that the evaluation states."""
    approved = pd < CUT_OFF
    profit = np.where(bad, -LOSS, MARGIN) * approved
    ratios = {
        "profit_by_money": (profit * amounts, amounts),
        "approval_rate_by_money": (approved * amounts, amounts),
        "approved_bad_rate_by_money": (bad * approved * amounts, approved * amounts),
    }
    return intervals.bootstrap(
        bad,
        pd,
        CUT_OFF,
        means={"profit": profit},
        ratios=ratios,
        stakes=dict.fromkeys(evaluation.PROFITS, (MARGIN, LOSS)),
        cluster=cluster,
        resamples=resamples,
        seed=seed,
    )


@cache
def truth(book: str) -> dict[str, float]:
    """Return every figure of a very large book; the calibration error without its noise."""
    return _truths(book)[0]


@cache
def _truths(book: str) -> tuple[dict[str, float], dict[str, float]]:
    bad, pd, amounts, challenger, true = draw(book, LARGE, 1)
    champion, other = (
        bootstrap(bad, stated, amounts, 1).estimates | {"ece": true_calibration_error(stated, true)}
        for stated in (pd, challenger)
    )
    return champion, {name: other[name] - value for name, value in champion.items()}


def true_calibration_error(pd: Floats, true_pd: Floats) -> float:
    """Return the root mean square gap of bins of equal frequency, from PDs and true PDs (n,)."""
    ranked = RankedRows.of(np.zeros(len(pd), dtype=np.bool_), pd)
    counts = metrics.count_rows(ranked)
    edges = bin_edges(counts, calibration_error.BINS)
    gaps = sums_between(
        np.bincount(ranked.keys // 4, true_pd - pd).astype(np.float64)[None], edges
    )[0]
    rows = sums_between(counts.rows, edges)[0]
    full = rows > 0
    return float(np.sqrt(np.sum(gaps[full] ** 2 / rows[full]) / len(pd)))


def coverage(
    book: str, rows: int, books: int, resamples: int = RESAMPLES, start: int = 100
) -> dict[str, dict[str, float]]:
    """Return the share of books whose intervals hold the truth, alone and of pairs, by figure."""
    truths: tuple[dict[str, float], ...] = _truths(book)
    held: dict[str, dict[str, list[bool]]] = {"alone": {}, "paired": {}}
    cluster = np.arange(rows) // LOANS if book == CUSTOMERS else None
    for seed in range(books):
        bad, pd, amounts, challenger, _ = draw(book, rows, seed + start)
        first = bootstrap(bad, pd, amounts, resamples, seed, cluster)
        second = bootstrap(bad, challenger, amounts, resamples, seed, cluster)
        stated: tuple[dict[str, Any], ...] = (
            intervals.percentile_intervals(first),
            intervals.paired_intervals(first, second),
        )
        for shares, by_figure, true in zip(held.values(), stated, truths, strict=True):
            for name, interval in by_figure.items():
                if np.isfinite(interval.low):
                    shares.setdefault(name, []).append(holds(interval, true[name]))
    return {
        kind: {name: float(np.mean(values)) for name, values in shares.items()}
        for kind, shares in held.items()
    }


def coverage_of_glass(
    book: str, rows: int, books: int, copies: int = 1, start: int = 100
) -> dict[str, float]:
    """Return the share of books in which the price of a glass box holds the truth, by figure.

    The challenger stands for the glass box, and each row is `copies` times in the book.
    """
    true = {name: -value for name, value in _truths(book)[1].items()}
    held: dict[str, list[bool]] = {}
    together = LOANS if book == CUSTOMERS else 1
    for seed in range(books):
        bad, pd, _, challenger, _ = draw(book, rows // copies, seed + start)
        if not 1 < bad.sum() * copies < len(bad) * copies - 1:
            continue  # `evaluate` states no price then
        one = np.arange(len(bad)) // together
        glass, winner = (
            Judged(
                np.repeat(bad, copies).astype(np.int64),
                np.repeat(stated, copies),
                np.repeat(np.where(stated < CUT_OFF, APPROVED, DECLINED), copies),
                cluster=np.repeat(one, copies) if copies * together > 1 else None,
            )
            for stated in (challenger, pd)
        )
        price = evaluation.price_glass("glass_box", glass, winner, POLICY)
        for name, stated in price.items():
            if name != "candidate":
                interval = Interval(stated["value"], stated["low"], stated["high"])
                held.setdefault(name, []).append(holds(interval, true[name]))
    return {name: float(np.mean(values)) for name, values in held.items()}


def holds(interval: Interval, true: float) -> bool:
    """Return whether an interval holds the truth."""
    rounding = 1e-12
    return interval.low - rounding <= true <= interval.high + rounding


def lines(books: int, sizes: list[int], kinds: list[str], start: int) -> Iterator[str]:
    """Yield a line of coverages for every book and size, and one for pairs."""
    for book in kinds:
        for rows in sizes:
            found = coverage(book, rows, books, start=start)
            if book in ("calibrated", CUSTOMERS):
                found["price of glass"] = coverage_of_glass(book, rows, books, start=start)
            if book == "calibrated":
                found["price of glass, with copies"] = coverage_of_glass(
                    book, rows, books, copies=4, start=start
                )
            for kind, shares in found.items():
                words = ", ".join(f"{name} {100 * share:.1f}" for name, share in shares.items())
                yield f"{book}, {rows:,} rows, {kind}: {words}"


def main() -> None:
    """Print the coverage of each kind of book and size."""
    parser = argparse.ArgumentParser("python -m benches.judging.coverage", description=__doc__)
    kinds = [*BOOKS, CUSTOMERS]
    parser.add_argument("--books", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[*SIZES])
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--seed", type=int, default=100, help="of the first book")
    options = parser.parse_args()
    for line in lines(options.books, options.rows, options.kinds, options.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
