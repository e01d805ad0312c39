"""What a change does to decisions: who is approved, how many of them go bad, what is earned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from release.gate.comparison import PairedRows
from stages.judging.evaluation import Judged
from stages.metrics.ranked_rows import Bools, Floats
from stages.metrics.rate_intervals import share_interval
from stages.policy.decisions import DECISIONS, Policy


class SideTotals(NamedTuple):
    """Decisions of one side; profit is per unit applied for."""

    approval_rate: float
    bad_rate: float  # of the approved; NaN if none is
    expected_profit: float  # by its own PDs


class Segment(NamedTuple):
    """A part of the applications; rates are NaN where it is empty."""

    applications: int
    share: float
    bad_rate: float
    low: float  # 95 % interval of the bad rate
    high: float
    champion_pd: float
    challenger_pd: float


@dataclass(frozen=True)
class Impact:
    """Champion and challenger on the same applications, valued by one margin and loss."""

    champion: SideTotals
    challenger: SideTotals
    approval_at_bad_rate: float  # of the challenger at the champion's bad rate
    bad_rate_at_approval: float  # of the challenger at the champion's approval rate
    swaps: dict[str, Segment]
    moves: NDArray[np.int64]  # (3, 3): decisions of the champion by those of the challenger


def impact(both: PairedRows, policy: Policy) -> Impact:
    """Return the impact on common rows; hard rules and referrals are in the decisions."""
    old, new = both.champion, both.challenger
    before = side(old, policy)
    kinds = len(DECISIONS)
    return Impact(
        champion=before,
        challenger=side(new, policy),
        approval_at_bad_rate=approval_at(new.bad, new.pd, before.bad_rate),
        bad_rate_at_approval=bad_rate_at(new.bad, new.pd, before.approval_rate),
        swaps={
            "Newly approved": part(both, ~old.approved & new.approved),
            "No longer approved": part(both, old.approved & ~new.approved),
            "Approved by both": part(both, old.approved & new.approved),
            "Approved by neither": part(both, ~old.approved & ~new.approved),
        },
        moves=np.bincount(old.decision * kinds + new.decision, minlength=kinds**2).reshape(
            kinds, kinds
        ),
    )


def side(rows: Judged, policy: Policy) -> SideTotals:
    """Return what one side's decisions on the rows amount to."""
    return SideTotals(
        approval_rate=float(rows.approved.mean()),
        bad_rate=mean(rows.bad[rows.approved]),
        expected_profit=float((policy.expected_profits(rows.pd) * rows.approved).mean()),
    )


def part(both: PairedRows, chosen: Bools) -> Segment:
    """Return the figures of some of the common rows (n,) bool."""
    low, high = interval_of_bad_rate(both.challenger, chosen)
    return Segment(
        applications=int(chosen.sum()),
        share=float(chosen.mean()),
        bad_rate=mean(both.challenger.bad[chosen]),
        low=low,
        high=high,
        champion_pd=mean(both.champion.pd[chosen]),
        challenger_pd=mean(both.challenger.pd[chosen]),
    )


def interval_of_bad_rate(rows: Judged, chosen: Bools) -> tuple[float, float]:
    """Return the 95 % interval of the bad rate of some rows (n,) bool; 0 to 1 for no rows."""
    if not chosen.any():
        return 0.0, 1.0
    cluster = None if rows.cluster is None else rows.cluster[chosen]
    _, low, high = share_interval(rows.bad[chosen] == 1, np.ones(int(chosen.sum())), cluster)
    return low, high


def mean(values: NDArray[Any]) -> float:
    """Return the mean; NaN for no values."""
    return float(values.mean()) if len(values) else float("nan")


def count_accepted(bad: ArrayLike, pd: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    """Return applications and bads (k + 1,) up to each of k distinct PDs, from none to all."""
    _, place = np.unique(np.asarray(pd), return_inverse=True)
    count = np.bincount(place)
    bads = np.bincount(place, weights=np.asarray(bad, dtype=np.float64))
    return np.append(0, np.cumsum(count)), np.append(0.0, np.cumsum(bads))


def approval_at(bad: ArrayLike, pd: ArrayLike, bad_rate: float) -> float:
    """Return the largest approval rate, only by PD, at a bad rate of at most `bad_rate`."""
    count, bads = count_accepted(bad, pd)
    return float(count[bads <= bad_rate * count].max() / count[-1])


def bad_rate_at(bad: ArrayLike, pd: ArrayLike, approval_rate: float) -> float:
    """Return the bad rate of the share `approval_rate` of lowest PD; NaN of nothing."""
    count, bads = count_accepted(bad, pd)
    wanted = approval_rate * count[-1]
    return float(np.interp(wanted, count, bads) / wanted) if wanted else float("nan")
