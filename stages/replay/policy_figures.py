"""What the decisions of a policy amount to, as sums divided by sums, with 95 % intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats
from stages.metrics import ratio_intervals
from stages.metrics.rate_intervals import as_figure
from stages.metrics.ratio_intervals import RatioOfSums
from stages.policy.decisions import DECISIONS, Policy
from stages.replay import capital
from stages.replay.capital import AssetClass
from stages.replay.scored_rows import ScoredRows

APPROVE, REFER, DECLINE = range(len(DECISIONS))
Places = NDArray[np.int64]


def ratios(
    rows: ScoredRows, decision: Places, policy: Policy, asset_class: AssetClass
) -> dict[str, RatioOfSums]:
    """Return every figure by name; those by money only where the rows have an exposure.

    Realised figures are those of rows with an outcome. Profit is per unit applied for; expected
    loss and capital are per unit approved. A referred application counts as not approved.
    """
    by_loan = _ratios(rows, decision, policy, np.ones(rows.rows), asset_class)
    if rows.exposure is None:
        return by_loan
    by_money = _ratios(rows, decision, policy, rows.exposure, asset_class)
    return by_loan | {f"{name}_by_money": ratio for name, ratio in by_money.items()}


def _ratios(
    rows: ScoredRows, decision: Places, policy: Policy, weight: Floats, asset_class: AssetClass
) -> dict[str, RatioOfSums]:
    approved = weight * (decision == APPROVE)
    seen, bad = weight * rows.has_outcome, rows.went_bad
    lent = approved * rows.has_outcome
    lgd, at_default = losses_of(rows, policy)
    exposed = approved * at_default
    return {
        "approval_rate": RatioOfSums(approved, weight),
        "referral_rate": RatioOfSums(weight * (decision == REFER), weight),
        "decline_rate": RatioOfSums(weight * (decision == DECLINE), weight),
        "approved_bad_rate": RatioOfSums(lent * bad, lent),
        "approved_mean_pd": RatioOfSums(approved * rows.pd, approved),
        "profit": RatioOfSums(policy.profits(bad, lent), seen),
        "expected_profit": RatioOfSums(approved * policy.expected_profits(rows.pd), weight),
        "expected_loss": RatioOfSums(exposed * rows.pd * lgd, approved),
        "capital": RatioOfSums(exposed * capital.requirement(rows.pd, lgd, asset_class), approved),
    }


def losses_of(rows: ScoredRows, policy: Policy) -> tuple[Floats | float, Floats | float]:
    """Return the loss given default and the share exposed at default, (n,) where rows differ."""
    lgd = policy.loss_given_default if rows.lgd is None else rows.lgd
    return lgd, 1.0 if rows.exposure_share is None else rows.exposure_share


def totals(
    rows: ScoredRows, decision: Places, policy: Policy, asset_class: AssetClass
) -> dict[str, Floats]:
    """Return columns (n,) whose sums are numbers of people and, where stated, amounts of money."""
    approved = (decision == APPROVE).astype(np.float64)
    columns = {"approved": approved, "referred": (decision == REFER).astype(np.float64)}
    if rows.exposure is None:
        return columns
    money = rows.exposure * approved
    lgd, at_default = losses_of(rows, policy)
    required = money * at_default * capital.requirement(rows.pd, lgd, asset_class)
    return columns | {
        "money_approved": money,
        "realised_profit": policy.profits(rows.went_bad, money * rows.has_outcome),
        "expected_profit": money * policy.expected_profits(rows.pd),
        "expected_loss": money * at_default * rows.pd * lgd,
        "capital": required,
        "risk_weighted_assets": capital.RISK_WEIGHT * required,
    }


def compare_ratios(
    old: dict[str, RatioOfSums],
    new: dict[str, RatioOfSums],
    cluster: NDArray[np.int64] | None,
    *,
    same: bool,
) -> dict[str, Any]:
    """Return each figure of both sides and new minus old, with paired intervals.

    `same` says that both sides have one model and one policy.
    """
    return {
        name: {
            "present": as_figure(ratio_intervals.interval(old[name], cluster)),
            "proposed": as_figure(ratio_intervals.interval(new[name], cluster)),
            "difference": as_figure(
                ratio_intervals.difference(new[name], old[name], cluster, same=same)
            ),
        }
        for name in old
    }


def compare_totals(
    old: dict[str, Floats],
    new: dict[str, Floats],
    cluster: NDArray[np.int64] | None,
    *,
    same: bool,
) -> dict[str, Any]:
    """Return each total of both sides and new minus old, with paired intervals."""
    return {
        name: {
            "present": as_figure(ratio_intervals.total(old[name], cluster)),
            "proposed": as_figure(ratio_intervals.total(new[name], cluster)),
            "difference": as_figure(
                ratio_intervals.difference_of_totals(new[name], old[name], cluster, same=same)
            ),
        }
        for name in old
    }
