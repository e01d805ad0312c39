"""Refer by doubt: approve only as far as a bad rate among the approved can be promised.

Cut-offs are tested in order, from one that the PDs alone name upwards, for as long as the upper
bound of Clopper and Pearson (1934) keeps the promise. That is conformal risk control by fixed-
sequence testing (Angelopoulos et al. 2021, "Learn then Test"): whatever the PDs are worth, the
promise holds in at least 95 % of samples of applications like these. It says nothing of
applications of another kind, such as those after a drift, nor of loans that go bad together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from stages.features.matrix import Floats
from stages.policy.decisions import Policy
from stages.replay.cut_offs import frontier
from stages.replay.policy_file import ReplayError
from stages.replay.scored_rows import ScoredRows

LEVEL = 0.975  # of each bound: resamples, whose rows repeat, then keep 95 % too
STEPS = 200  # cut-offs that are tested, at quantiles of the PDs
RESAMPLES, SEED = 200, 0


@dataclass(frozen=True)
class Promise:
    """The highest tested cut-off below which the bad rate is promised, and what was seen there."""

    approve_below: float
    approved: int
    bad_rate: float
    bound: float


def promise(pd: Floats, bad: Floats, most: float) -> Promise | None:
    """Return the highest cut-off that keeps a bad rate of at most `most`, None where none does.

    `pd` and `bad` (n,) are those of applications with an outcome, in any order.
    """
    values, count = np.unique(pd, return_counts=True)
    approved = np.cumsum(count).astype(np.float64)
    bads = np.cumsum(np.bincount(np.searchsorted(values, pd), weights=bad)).astype(np.float64)
    expected = np.cumsum(values * count) / approved
    cuts = np.append((values[:-1] + values[1:]) / 2, (values[-1] + 1) / 2)
    steps = np.unique(np.searchsorted(approved, np.linspace(1, len(pd), STEPS)))
    room = most - upper_bound(expected * approved, approved)
    ease = room / np.sqrt(expected * (1 - expected) / approved)
    tested = steps[int(np.argmax(ease[steps])) :]
    bounds = upper_bound(bads[tested], approved[tested])
    failed = np.flatnonzero(bounds > most)
    kept = int(failed[0]) if len(failed) else len(tested)
    if not kept:
        return None
    place = tested[kept - 1]
    return Promise(
        float(cuts[place]),
        int(approved[place]),
        float(bads[place] / approved[place]),
        float(bounds[kept - 1]),
    )


def upper_bound(bads: Floats, count: Floats) -> Floats:
    """Return the upper bounds (n,) of bad rates by Clopper and Pearson."""
    good = count - bads
    return np.where(good > 0, betaincinv(bads + 1, np.maximum(good, 1e-9), LEVEL), 1.0)


def refer_by_doubt(rows: ScoredRows, policy: Policy, most: float) -> tuple[Promise, Policy]:
    """Return what can be promised, and the policy that refers whom the promise does not reach.

    Applications from the promised cut-off up to where the policy declines are referred. Rows that
    hard rules stop have no part. Raises ReplayError where nothing can be promised.
    """
    free = rows.has_outcome & (policy.decide(np.zeros(rows.rows), rows.features) == 0)
    kept = promise(rows.pd[free], rows.bad[free], most)
    if kept is None:
        raise ReplayError(
            f"a bad rate of {most:.2%} cannot be promised for any cut-off: state a higher "
            "--max-bad-rate, or bring more loans with outcomes"
        )
    high = max(policy.decline_from, kept.approve_below)
    return kept, frontier.as_policy(rows, policy, kept.approve_below, high)


def share_kept(rows: ScoredRows, policy: Policy, most: float) -> float:
    """Return the share of resamples in which the cut-off that they promise keeps the promise.

    The rows are resampled, and the bad rate below the promised cut-off is that of the rows.
    """
    free = rows.has_outcome & (policy.decide(np.zeros(rows.rows), rows.features) == 0)
    pd, bad = rows.pd[free], rows.bad[free]
    order = np.argsort(pd, kind="stable")
    ranked, bads = pd[order], np.append(0.0, np.cumsum(bad[order]))
    rng, held = np.random.default_rng(SEED), 0
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(pd), len(pd))
        chosen = promise(pd[drawn], bad[drawn], most)
        count = 0 if chosen is None else int(np.searchsorted(ranked, chosen.approve_below))
        held += bads[count] <= most * count
    return held / RESAMPLES


def explain(kept: Promise, policy: Policy, most: float, share: float) -> str:
    """Return a sentence about what is promised and who is referred."""
    cut_offs = f"cut_off: {policy.pd_cut_off!r}, refer_band: {policy.refer_band!r}"
    return (
        f"Approve below a PD of {policy.approve_below:.6g} and refer up to "
        f"{policy.decline_from:.6g} ({cut_offs}): of {kept.approved:,} applications below it "
        f"{kept.bad_rate:.2%} went bad, at most {kept.bound:.2%} with {LEVEL:.1%} confidence, so "
        f"that {most:.2%} can be promised. In {share:.1%} of {RESAMPLES} resamples the cut-off "
        "that they name keeps the promise."
    )
