"""The frontier of cut-offs, against every cut-off tried one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.policy.decisions import Policy
from stages.replay.cut_offs import chart, frontier
from stages.replay.cut_offs.frontier import PolicyLimits
from stages.replay.policy_file import ReplayError
from stages.replay.scored_rows import ScoredRows
from tests.stages.replay.test_comparison import policy

RULES = [
    {"rule": "burden >= 0.9", "decision": "decline", "reason": "A high burden"},
    {"rule": "burden >= 0.8", "decision": "refer", "reason": "A burden to look at"},
]


def draw(rows: int = 60, seed: int = 1) -> ScoredRows:
    """Applications with ties among their PDs, and a feature for hard rules."""
    rng = np.random.default_rng(seed)
    pd = np.round(rng.beta(1, 4, rows), 2).clip(0.01, 0.99)
    return ScoredRows(
        pd=pd,
        bad=(rng.random(rows) < pd).astype(np.float64),
        features={"burden": rng.random(rows)},
        exposure=rng.lognormal(8, 0.6, rows),
    )


def every_policy(rows: ScoredRows, present: Policy) -> list[dict[str, Any]]:
    """The figures of each pair of cut-offs between the distinct PDs."""
    values = np.unique(rows.pd)
    cuts = [*((values[:-1] + values[1:]) / 2), 1.0]
    tried = []
    for place, low in enumerate(cuts):
        for high in cuts[place:]:
            both = {"cut_off": (low + high) / 2, "refer_band": (high - low) / (high + low)}
            decided = present.model_copy(update=both).decide(rows.pd, rows.features)
            approved = decided == 0
            tried.append(
                {
                    "decided": decided,
                    "bad_rate": rows.bad[approved].mean() if approved.any() else np.nan,
                    "referrals": (decided == 1).mean(),
                    "profit": (np.where(rows.bad == 1, -0.52, 0.08) * approved).mean(),
                }
            )
    return tried


@pytest.mark.parametrize("rules", [[], RULES])
@pytest.mark.parametrize("seed", range(6))
def test_the_chosen_cut_offs_are_the_best_of_all_that_keep_the_limits(
    rules: list[dict[str, str]], seed: int
) -> None:
    rows, present = draw(seed=seed), policy(rules=rules)
    limits = PolicyLimits(max_bad_rate=0.08, max_referrals=0.25)
    choice = frontier.choose(
        rows, present, swept := frontier.sweep(rows, present, 0.25), limits, "profit"
    )
    kept = [
        each
        for each in every_policy(rows, present)
        if each["bad_rate"] <= 0.08 and each["referrals"] <= 0.25
    ]
    best = max(each["profit"] for each in kept)
    decided = choice.policy.decide(rows.pd, rows.features)
    approved = decided == 0
    profit = (np.where(rows.bad == 1, -0.52, 0.08) * approved).mean()
    assert profit == pytest.approx(best) == pytest.approx(swept.aims["profit"][choice.place])
    assert rows.bad[approved].mean() <= 0.08
    same = [each for each in kept if np.array_equal(each["decided"] == 0, approved)]
    assert (decided == 1).mean() == max(each["referrals"] for each in same) <= 0.25
    assert (decided == 1).mean() == pytest.approx(swept.referral_rate[choice.place])


def test_no_cut_off_approves_as_many_as_an_efficient_one_at_a_lower_bad_rate() -> None:
    swept = frontier.sweep(draw(200), policy(), 0.1)
    for place in np.flatnonzero(swept.is_efficient):
        as_many = swept.approved >= swept.approved[place]
        as_many[place] = False
        assert not (swept.bad_rate[as_many] <= swept.bad_rate[place]).any()


def test_without_a_limit_the_share_of_referrals_stays_what_it_is() -> None:
    rows, lender = draw(2000), policy()
    present = (lender.decide(rows.pd, rows.features) == 1).mean()
    swept = frontier.sweep(rows, lender, None)
    inner = slice(1, len(swept.approved) // 2)
    assert (swept.referral_rate[inner] <= present + 1e-9).all()
    assert (swept.referral_rate[inner] >= present - 0.1).all()


def test_a_confident_choice_keeps_the_limit_by_its_interval() -> None:
    rows, present = draw(3000), policy()
    swept = frontier.sweep(rows, present, 0.1)
    bold, sure = (
        frontier.choose(rows, present, swept, PolicyLimits(0.05, 0.1, confident=c), "approval_rate")
        for c in (False, True)
    )
    assert sure.place < bold.place
    assert frontier.upper_bounds(swept)[sure.place] <= 0.05


def test_limits_that_nothing_keeps_are_named_with_what_can_be_had() -> None:
    rows, present = draw(500), policy()
    swept = frontier.sweep(rows, present, 0.1)
    with pytest.raises(ReplayError, match="no cut-off keeps the limits: the lowest bad rate"):
        frontier.choose(
            rows, present, swept, PolicyLimits(0.0001, 0.1, min_approvals=0.9), "profit"
        )


def test_the_choice_is_explained_with_what_it_costs() -> None:
    rows, present = draw(3000), policy()
    swept = frontier.sweep(rows, present, 0.08)
    limits = PolicyLimits(max_bad_rate=0.03, max_referrals=0.08)
    choice = frontier.choose(rows, present, swept, limits, "profit")
    text = frontier.explain(swept, choice, limits, "profit")
    assert f"cut_off: {choice.policy.cut_off!r}, refer_band: {choice.policy.refer_band!r}" in text
    assert "(at most 3.00%)" in text
    assert "(at most 8.0%)" in text
    assert text.endswith("which breaks the bad rate.")
    free = frontier.choose(rows, present, swept, PolicyLimits(), "profit")
    assert "No other cut-off" in frontier.explain(swept, free, PolicyLimits(), "profit")


def test_the_chart_marks_the_chosen_cut_off() -> None:
    rows, present = draw(3000), policy()
    swept = frontier.sweep(rows, present, 0.08)
    choice = frontier.choose(rows, present, swept, PolicyLimits(), "profit")
    left, right = chart.specify(swept, choice)["hconcat"]
    assert len(left["layer"][0]["data"]["values"]) <= chart.POINTS
    dot = right["layer"][1]["data"]["values"]
    assert dot == [
        {
            "approval_rate": swept.approval_rate[choice.place],
            "profit": swept.aims["profit"][choice.place],
        }
    ]
