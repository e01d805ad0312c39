"""The efficient frontier of cut-offs and referral bands, by an exact sweep over distinct PDs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats
from stages.metrics.rate_intervals import wilson
from stages.policy.decisions import DECISIONS, Policy
from stages.replay.policy_file import ReplayError
from stages.replay.scored_rows import ScoredRows

Aim = Literal["profit", "expected_profit", "profit_by_money", "approval_rate"]
FEWEST_DIGITS, MOST_DIGITS = 4, 17
TINY = 1e-300  # instead of no money, where no outcome is known


@dataclass(frozen=True)
class PolicyLimits:
    """What a chosen policy must keep; None where nothing is asked.

    `confident` asks that the upper end of the 95 % interval of the bad rate keeps its limit.
    """

    max_bad_rate: float | None = None
    max_referrals: float | None = None
    min_approvals: float | None = None
    confident: bool = False


@dataclass(frozen=True)
class Sweep:
    """The figures of every cut-off, (k,) each, from approving nobody to approving all.

    Row i approves PDs below `approve_below[i]` and declines those from `decline_from[i]`: the
    highest PD from which referrals keep their limit, so that people see the applications that are
    nearest to approval.
    """

    rows: int
    approve_below: Floats
    decline_from: Floats
    approved: Floats
    bad: Floats
    outcomes: Floats  # of the approved
    approval_rate: Floats
    bad_rate: Floats
    referral_rate: Floats
    aims: dict[str, Floats]

    @property
    def is_efficient(self) -> NDArray[np.bool_]:
        """Whether no other cut-off (k,) approves as many at a lower bad rate."""
        least = np.minimum.accumulate(np.nan_to_num(self.bad_rate, nan=np.inf)[::-1])[::-1]
        better = np.append(least[1:], np.inf)
        return np.asarray(np.isfinite(self.bad_rate) & (self.bad_rate < better))


@dataclass(frozen=True)
class Choice:
    """The chosen place in a sweep, and the policy that decides so."""

    place: int
    policy: Policy
    binding: str
    unlimited: int  # the place with the best aim without limits


def sweep(rows: ScoredRows, policy: Policy, max_referrals: float | None) -> Sweep:
    """Return the figures of all cut-offs, under the hard rules and the money of a policy.

    Without a limit on referrals, their share stays what it is under the policy.
    """
    by_rules = policy.decide(np.zeros(rows.rows), rows.features)
    free, referred = by_rules == 0, by_rules == DECISIONS.index("refer")
    values, place = np.unique(rows.pd, return_inverse=True)
    cuts = np.concatenate(([0.0], (values[:-1] + values[1:]) / 2, [(values[-1] + 1) / 2]))
    cuts[1:] = np.maximum(cuts[1:], np.nextafter(values, 2))
    if max_referrals is None:
        decided = policy.decide(rows.pd, rows.features)
        max_referrals = float((decided == DECISIONS.index("refer")).mean())

    def up_to(weight: NDArray[np.bool_] | Floats) -> Floats:
        return np.append(0.0, np.cumsum(np.bincount(place, weights=weight)))

    seen, one = rows.has_outcome, np.ones(rows.rows)
    profit = policy.profits(rows.went_bad, seen)
    money = one if rows.exposure is None else rows.exposure
    count, below = up_to(free), up_to(free | referred)
    bad, outcomes = up_to(free & rows.went_bad), up_to(free & seen)
    with np.errstate(invalid="ignore", divide="ignore"):
        bad_rate = bad / outcomes
    # The last cut-off up to which free rows above the approved and rows of rules may be referred.
    room = np.floor(max_referrals * rows.rows + 1e-9) + count
    last = np.maximum(np.searchsorted(below, room, side="right") - 1, np.arange(len(cuts)))
    return Sweep(
        rows=rows.rows,
        approve_below=cuts,
        decline_from=np.where(last == len(cuts) - 1, 1.0, cuts[last]),
        approved=count,
        bad=bad,
        outcomes=outcomes,
        approval_rate=count / rows.rows,
        bad_rate=bad_rate,
        referral_rate=(below[last] - count) / rows.rows,
        aims={
            "profit": up_to(free * profit) / max(1.0, float(seen.sum())),
            "expected_profit": up_to(free * policy.expected_profits(rows.pd)) / rows.rows,
            "profit_by_money": up_to(free * profit * money) / max(TINY, float(money @ seen)),
            "approval_rate": count / rows.rows,
        },
    )


def choose(
    rows: ScoredRows, policy: Policy, swept: Sweep, limits: PolicyLimits, aim: Aim
) -> Choice:
    """Return the cut-off with the highest aim that keeps the limits; ReplayError where none does.

    Of equals it is the lowest one.
    """
    checks = {"the bad rate": np.ones(len(swept.approved), dtype=bool)}
    if limits.max_bad_rate is not None:
        rate = upper_bounds(swept) if limits.confident else swept.bad_rate
        checks["the bad rate"] = rate <= limits.max_bad_rate
    if limits.max_referrals is not None:
        checks["the share of referrals"] = swept.referral_rate <= limits.max_referrals + 1e-12
    if limits.min_approvals is not None:
        checks["the share of approvals"] = swept.approval_rate >= limits.min_approvals
    score, some = swept.aims[aim], swept.approved > 0
    kept = np.logical_and.reduce([some, *checks.values()])
    if not kept.any():
        least = np.nanmin(swept.bad_rate) if swept.outcomes.any() else float("nan")
        raise ReplayError(
            f"no cut-off keeps the limits: the lowest bad rate among the approved is {least:.4f}, "
            f"and the fewest referrals are {swept.referral_rate.min():.4f} of all applications"
        )
    place = int(np.argmax(np.where(kept, score, -np.inf)))
    unlimited = int(np.argmax(np.where(some, score, -np.inf)))
    broken = [name for name, keeps in checks.items() if not keeps[unlimited]]
    low, high = float(swept.approve_below[place]), float(swept.decline_from[place])
    chosen = as_policy(rows, policy, low, high)
    return Choice(place, chosen, " and ".join(broken), unlimited)


def upper_bounds(swept: Sweep) -> Floats:
    """Return the upper ends (k,) of the intervals of the bad rates."""
    pairs = zip(swept.bad_rate.tolist(), swept.outcomes.tolist(), strict=True)
    return np.array([wilson(rate, count).high if count else 1.0 for rate, count in pairs])


def as_policy(rows: ScoredRows, policy: Policy, low: float, high: float) -> Policy:
    """Return the policy that approves PDs below `low` and declines from `high`.

    Its two numbers have the fewest digits with which it decides about the rows in that way.
    """

    def rounded_policy(digits: int) -> Policy:
        cut_off, band = (low + high) / 2, (high - low) / (high + low)
        numbers = {"cut_off": round(cut_off, digits), "refer_band": round(band, digits)}
        return policy.model_copy(update=numbers)

    exact = places(rows.pd, low, high)
    for digits in range(FEWEST_DIGITS, MOST_DIGITS):
        candidate = rounded_policy(digits)
        if 0 < candidate.pd_cut_off <= 1 and candidate.refer_band < 1:
            decided = places(rows.pd, candidate.approve_below, candidate.decline_from)
            if np.array_equal(decided, exact):
                return candidate
    raise ReplayError(f"the PDs lie too close together for a cut-off between {low!r} and {high!r}")


def places(pd: Floats, approve_below: float, decline_from: float) -> NDArray[np.int64]:
    """Return the decisions (n,) of two cut-offs alone, as places in DECISIONS."""
    return (pd >= approve_below).astype(np.int64) + (pd >= decline_from)


def explain(swept: Sweep, choice: Choice, limits: PolicyLimits, aim: Aim) -> str:
    """Return a sentence about what was chosen and why not another."""
    at, policy, best = choice.place, choice.policy, choice.unlimited
    words = aim.replace("_", " ")
    shares = (
        f"{swept.approval_rate[at]:.1%} are approved with a bad rate of {swept.bad_rate[at]:.2%}"
    )
    asked = "" if limits.max_bad_rate is None else f" (at most {limits.max_bad_rate:.2%})"
    wanted = "" if limits.max_referrals is None else f" (at most {limits.max_referrals:.1%})"
    text = (
        f"Approve below a PD of {policy.approve_below:.6g} and decline from "
        f"{policy.decline_from:.6g} (cut_off: {policy.pd_cut_off!r}, refer_band: "
        f"{policy.refer_band!r}): of the {swept.rows:,} rows of the choice {shares}{asked} and "
        f"{swept.referral_rate[at]:.1%} are referred{wanted}."
    )
    if at == best:
        return f"{text} No other cut-off has a higher {words} than {swept.aims[aim][at]:.4f}."
    return (
        f"{text} It has the highest {words} that keeps the limits, {swept.aims[aim][at]:.4f}; "
        f"without them it would be {swept.aims[aim][best]:.4f} at {swept.approval_rate[best]:.1%} "
        f"approved, which breaks {choice.binding}."
    )
