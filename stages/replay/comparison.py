"""Two policies on the same applications: figures, swap set and groups."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats
from stages.judging.evaluation import round_figures
from stages.metrics import ratio_intervals
from stages.metrics.rate_intervals import Interval, as_figure
from stages.metrics.ratio_intervals import RatioOfSums
from stages.policy.decisions import DECISIONS, Policy
from stages.replay import policy_figures
from stages.replay.capital import AssetClass
from stages.replay.policy_figures import APPROVE, REFER, Places
from stages.replay.scored_rows import ScoredRows


class Side(NamedTuple):
    """Applications, the decisions (n,) about them, and the policy that values the money."""

    rows: ScoredRows
    decision: Places
    policy: Policy

    @classmethod
    def decided_by(cls, policy: Policy, rows: ScoredRows) -> Side:
        """Return the side of a policy that decides about rows."""
        return cls(rows, policy.decide(rows.pd, rows.features), policy)


def compare(
    present: Side,
    proposed: Side,
    *,
    asset_class: AssetClass = "other_retail",
    minimum: int = 100,
) -> dict[str, Any]:
    """Return what a new policy, or a new model, changes on the same applications.

    Both sides have the same rows, whose PDs differ where the model does. Groups of fewer than
    `minimum` rows have only their number.
    """
    rows, before, after = present.rows, present.decision, proposed.decision
    sides = (present, proposed)
    old, new = (policy_figures.ratios(*side, asset_class) for side in sides)
    sums_then, sums_now = (policy_figures.totals(*side, asset_class) for side in sides)
    same = present.policy == proposed.policy and np.array_equal(rows.pd, proposed.rows.pd)
    content = {
        "rows": rows.rows,
        "outcomes": int(rows.has_outcome.sum()),
        "changed": int((before != after).sum()),
        "policies": {"present": present.policy.in_full, "proposed": proposed.policy.in_full},
        "asset_class": asset_class,
        "figures": policy_figures.compare_ratios(old, new, rows.cluster, same=same),
        "totals": policy_figures.compare_totals(sums_then, sums_now, rows.cluster, same=same),
        "moves": count_moves(before, after),
        "swaps": {
            name: describe_part(rows, chosen, proposed.rows.pd)
            for name, chosen in swap_set(before, after).items()
        },
        "groups": compare_groups(rows, before, after, minimum),
    }
    return round_figures(content)


def count_moves(before: Places, after: Places) -> dict[str, dict[str, int]]:
    """Return how many applications moved from each decision to each."""
    return {
        old: {new: int(((before == i) & (after == j)).sum()) for j, new in enumerate(DECISIONS)}
        for i, old in enumerate(DECISIONS)
    }


def swap_set(before: Places, after: Places) -> dict[str, NDArray[np.bool_]]:
    """Return which rows (n,) are newly approved, no longer approved, and approved by both."""
    then, now = before == APPROVE, after == APPROVE
    return {
        "newly_approved": ~then & now,
        "no_longer_approved": then & ~now,
        "approved_by_both": then & now,
    }


def describe_part(rows: ScoredRows, chosen: NDArray[np.bool_], pd: Floats) -> dict[str, Any]:
    """Return the number, bad rate, mean PD and money of some of the rows (n,) bool."""
    one = chosen.astype(np.float64)
    seen = one * rows.has_outcome
    facts: dict[str, Any] = {
        "rows": int(chosen.sum()),
        "bad_rate": as_figure(
            ratio_intervals.interval(RatioOfSums(seen * rows.went_bad, seen), rows.cluster)
        ),
        "mean_pd": RatioOfSums(one * pd, one).value,
    }
    if rows.exposure is not None:
        facts["money"] = float((one * rows.exposure).sum())
    return facts


def compare_groups(
    rows: ScoredRows, before: Places, after: Places, minimum: int
) -> dict[str, dict[str, Any]]:
    """Return the decisions about each group under both policies, by attribute and group.

    `approval_ratio` is a group's approval rate over that of the group approved most often among
    those of `minimum` rows or more.
    """
    compared = {}
    for attribute, labels in rows.groups.items():
        names, place = np.unique(labels, return_inverse=True)
        then, now = (describe_groups(rows, place, d, minimum) for d in (before, after))
        compared[attribute] = {
            str(name): {
                "rows": int(count),
                "present": then.get(number),
                "proposed": now.get(number),
            }
            for number, (name, count) in enumerate(zip(names, np.bincount(place), strict=True))
        }
    return compared


def describe_groups(
    rows: ScoredRows, place: NDArray[np.int64], decision: Places, minimum: int
) -> dict[int, dict[str, Any]]:
    """Return the figures of each group of `minimum` rows or more under one policy.

    `place` is the number of each row's group (n,).
    """
    count = np.bincount(place)
    is_approved = decision == APPROVE
    approved = np.bincount(place, weights=is_approved)
    large = np.flatnonzero(count >= minimum)
    if not len(large):
        return {}
    best = large[np.argmax(approved[large] / count[large])]
    described = {}
    for number in large.tolist():
        one = (place == number).astype(np.float64)
        lent = one * (decision == APPROVE) * rows.has_outcome
        shares = {
            "approval_rate": RatioOfSums(one * (decision == APPROVE), one),
            "referral_rate": RatioOfSums(one * (decision == REFER), one),
            "approved_bad_rate": RatioOfSums(lent * rows.went_bad, lent),
        }
        facts = {n: as_figure(ratio_intervals.interval(r, rows.cluster)) for n, r in shares.items()}
        ratio = Interval(1, 1, 1)
        if number != best:
            ratio = ratio_intervals.quotient_of_rates(
                is_approved, place == number, place == best, rows.cluster
            )
        facts["approval_ratio"] = as_figure(ratio)
        described[number] = facts
    return described
