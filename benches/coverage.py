"""How often the 95 % intervals of the evaluation hold the truth, on books whose truth is known.

    python -m benches.coverage [BOOKS]

Draws many small books, calibrated and miscalibrated, and prints for every figure the share of
books whose interval holds the figure of a very large book. Takes about ten minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from stages.metrics import intervals, metrics
from stages.metrics.calibration_error import Bins
from stages.metrics.ranked_rows import Bools, Floats, RankedRows

CUT_OFF = 0.13
LARGE = 1_000_000
SIZES = (1000, 2000, 10_000)
MARGIN, LOSS = 0.08, 0.52
BOOKS = ("calibrated", "flat", "shifted", "bump")


def simulate(book: str, rows: int, seed: int) -> tuple[Bools, Floats, Floats]:
    """Draw outcomes, stated PDs and amounts (n,) of a book of one kind."""
    generator = np.random.default_rng([seed, rows])
    stated = generator.normal(-2.6, 1.5, rows)
    true = {
        "calibrated": stated,
        "flat": 0.7 * stated - 0.6,
        "shifted": stated + 0.4,
        "bump": stated + 0.8 * (np.abs(stated + 1.5) < 0.5),
    }[book]
    bad = generator.random(rows) < 1 / (1 + np.exp(-true))
    amounts = np.exp(generator.normal(10, 0.6, rows) + 0.2 * stated)
    return bad, 1 / (1 + np.exp(-stated)), amounts


def added(bad: Bools, pd: Floats, amounts: Floats) -> dict[str, dict[str, object]]:
    """Return the figures by row and by money that the evaluation adds to the metrics."""
    approved = pd < CUT_OFF
    profit = np.where(bad, -LOSS, MARGIN) * approved
    return {
        "means": {"profit": profit},
        "ratios": {
            "profit_by_money": (profit * amounts, amounts),
            "approval_rate_by_money": (approved * amounts, amounts),
            "approved_bad_rate_by_money": (bad * approved * amounts, approved * amounts),
        },
    }


def truth(book: str) -> dict[str, float]:
    """Return every figure of a very large book; the calibration error without its noise."""
    bad, pd, amounts = simulate(book, LARGE, 1)
    draws = intervals.bootstrap(bad, pd, CUT_OFF, resamples=1, **added(bad, pd, amounts))  # type: ignore[arg-type]
    error = 0.0
    if book != "calibrated":
        ranked = RankedRows.of(bad, pd)
        bins = Bins.of(ranked, metrics.count_rows(ranked))
        error = float(np.sqrt(bins.observed**2 - bins.noise**2))
    return {**draws.estimates, "ece": error}


def coverage(book: str, rows: int, books: int, resamples: int) -> dict[str, float]:
    """Return the share of books whose intervals hold the truth, by figure."""
    true = truth(book)
    held = dict.fromkeys(true, 0)
    for seed in range(books):
        bad, pd, amounts = simulate(book, rows, seed + 100)
        draws = intervals.bootstrap(
            bad,
            pd,
            CUT_OFF,
            resamples=resamples,
            seed=seed,
            **added(bad, pd, amounts),  # type: ignore[arg-type]
        )
        for name, interval in intervals.percentile_intervals(draws).items():
            held[name] += interval.low <= true[name] <= interval.high
    return {name: count / books for name, count in held.items()}


def lines(books: int) -> Iterator[str]:
    """Yield a line of coverages for every book and size."""
    for book in BOOKS:
        for rows in SIZES:
            shares = coverage(book, rows, books, resamples=400)
            told = ", ".join(f"{name} {100 * share:.1f}" for name, share in shares.items())
            yield f"{book}, {rows:,} rows: {told}"


if __name__ == "__main__":
    for line in lines(int(sys.argv[1]) if len(sys.argv) > 1 else 1000):
        print(line, flush=True)
