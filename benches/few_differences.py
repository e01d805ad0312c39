"""How often intervals of differences hold the truth where two models differ about few loans.

    python -m benches.few_differences --books 2000 --rows 1000

The challenger approves what the champion does, and a few loans just above the cut-off: as many of
a book as `--loans` says on average. In some books no decision differs. The truth is integrated, and
`price of glass` are the intervals of `evaluation.price_glass`, which `policy` and the report share.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benches.judging import coverage
from benches.judging.coverage import APPROVED, CUT_OFF, DECLINED, LOANS, LOSS, MARGIN
from stages.judging import evaluation
from stages.judging.evaluation import Judged
from stages.metrics import intervals
from stages.metrics.ranked_rows import Floats, log_odds
from stages.metrics.rate_intervals import Interval

MEAN, SPREAD = -2.6, 1.5  # of the log-odds of calibrated PDs
RESAMPLES = 40
FIGURES = ("approval_rate", "approved_bad_rate", "recall", "precision", "f1", "profit")


def edges(share: float) -> tuple[float, float]:
    """Return the log-odds of both cut-offs, between which lies so large a share of the loans."""
    first = float(log_odds(np.array([CUT_OFF]))[0])
    return first, float(norm.ppf(norm.cdf(first, MEAN, SPREAD) + share, MEAN, SPREAD))


def figures(cut_off: float) -> dict[str, float]:
    """Return the true figures of decisions at a cut-off in log-odds."""
    odds = np.linspace(MEAN - 9 * SPREAD, MEAN + 9 * SPREAD, 200_001)
    weight = norm.pdf(odds, MEAN, SPREAD)
    weight, bad = weight / weight.sum(), coverage.expit(odds)
    approved = odds < cut_off
    rate, lost = float(weight[approved].sum()), float((weight * bad)[approved].sum())
    bads = float((weight * bad).sum())
    return {
        "approval_rate": rate,
        "approved_bad_rate": lost / rate,
        "recall": 1 - lost / bads,
        "precision": (bads - lost) / (1 - rate),
        "f1": 2 * (bads - lost) / (1 - rate + bads),
        "profit": MARGIN * (rate - lost) - LOSS * lost,
    }


def differences(rows: int, loans: float) -> dict[str, float]:
    """Return the true differences where so many of the rows are decided otherwise on average."""
    old, new = (figures(edge) for edge in edges(loans / rows))
    # the mass between the edges is known; a grid knows it less well
    return {n: new[n] - old[n] for n in FIGURES} | {"approval_rate": loans / rows}


def hold(
    rows: int, loans: float, books: int, kind: str = "calibrated", start: int = 0
) -> dict[str, dict[str, float]]:
    """Return the share of books whose intervals hold the truth, by the way and the figure."""
    true, (low, high) = differences(rows, loans), edges(loans / rows)
    cluster = np.arange(rows) // LOANS if kind == coverage.CUSTOMERS else None
    held: dict[str, dict[str, list[bool]]] = {"paired": {}, "price of glass": {}}
    for seed in range(start, start + books):
        bad, pd, amounts, _, _ = coverage.draw(kind, rows, seed)
        nearer = coverage.expit(log_odds(pd) - (high - low))
        draws = [
            coverage.bootstrap(bad, stated, amounts, RESAMPLES, seed, cluster)
            for stated in (pd, nearer)
        ]
        stated: dict[str, dict[str, Interval]] = {
            "paired": dict(intervals.paired_intervals(*draws)),
            "price of glass": price(*(judge(p, bad, cluster) for p in (pd, nearer))),
        }
        for way, by_figure in stated.items():
            for name in FIGURES:
                if name in by_figure and np.isfinite(by_figure[name].low):
                    found = held[way].setdefault(name, [])
                    found.append(coverage.holds(by_figure[name], true[name]))
    return {
        way: {name: float(np.mean(found)) for name, found in by_figure.items()}
        for way, by_figure in held.items()
    }


def judge(pd: Floats, bad: NDArray[np.bool_], cluster: NDArray[np.int64] | None) -> Judged:
    """Return rows that are approved below the cut-off."""
    decision = np.where(pd < CUT_OFF, APPROVED, DECLINED)
    return Judged(bad.astype(np.int64), pd, decision, cluster=cluster)


def price(old: Judged, new: Judged) -> dict[str, Interval]:
    """Return the intervals of new minus old that the price of a glass box has; {} for one class."""
    if not 1 < old.bad.sum() < len(old.bad) - 1:
        return {}
    stated = evaluation.price_glass("old", old, new, coverage.POLICY)
    return {name: Interval(*stated[name].values()) for name in ("approval_rate", "profit")}


def lines(rows: list[int], loans: list[float], books: int, kinds: list[str]) -> Iterator[str]:
    """Yield a line of coverages for each kind, size and number of loans."""
    for kind in kinds:
        for size in rows:
            for number in loans:
                for way, shares in hold(size, number, books, kind).items():
                    words = ", ".join(f"{name} {100 * share:.1f}" for name, share in shares.items())
                    yield f"{kind}, {size:,} rows, {number:g} loans, {way}: {words}"


def main() -> None:
    """Print the coverages."""
    parser = argparse.ArgumentParser("python -m benches.few_differences", description=__doc__)
    kinds = ["calibrated", coverage.CUSTOMERS]
    parser.add_argument("--books", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[400, 2000])
    parser.add_argument("--loans", type=float, nargs="+", default=[0.5, 1, 2, 3, 5, 10])
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    options = parser.parse_args()
    for line in lines(options.rows, options.loans, options.books, options.kinds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
