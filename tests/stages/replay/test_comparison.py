"""Two policies on the same applications: figures against sums by hand, and their intervals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml

from stages.metrics import ratio_intervals
from stages.metrics.ratio_intervals import RatioOfSums
from stages.policy.decisions import Policy
from stages.replay import comparison, table
from stages.replay.comparison import Side
from stages.replay.scored_rows import ScoredRows
from tests.support.books import ROOT


def policy(**changes: Any) -> Policy:
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text())["policy"]
    return Policy.model_validate(shipped | changes)


def draw(rows: int = 2000, seed: int = 1) -> ScoredRows:
    """Applications that default as their PDs say."""
    rng = np.random.default_rng(seed)
    pd = rng.beta(1, 8, rows)
    return ScoredRows(
        pd=pd,
        bad=(rng.random(rows) < pd).astype(np.float64),
        exposure=rng.lognormal(8, 0.6, rows),
        groups={
            "sex": rng.choice(["F", "M"], rows),
            "age": np.repeat(["old", "rare"], [rows - 9, 9]),
        },
    )


def compare(rows: ScoredRows, old: Policy, new: Policy, **options: Any) -> dict[str, Any]:
    return comparison.compare(Side.decided_by(old, rows), Side.decided_by(new, rows), **options)


def test_figures_are_the_sums_of_the_rows() -> None:
    rows, present = draw(), policy(cut_off=0.12, refer_band=0.25)
    side = compare(rows, present, present)["figures"]
    approved, money = rows.pd < 0.09, rows.exposure
    assert money is not None
    gain = np.where(rows.bad == 1, -0.52, 0.08) * approved
    values = {name: figure["proposed"]["value"] for name, figure in side.items()}
    assert values["approval_rate"] == pytest.approx(approved.mean(), abs=1e-6)
    assert values["referral_rate"] == pytest.approx(((rows.pd < 0.15) & ~approved).mean(), abs=1e-6)
    assert values["approved_bad_rate"] == pytest.approx(rows.bad[approved].mean(), abs=1e-6)
    assert values["profit"] == pytest.approx(gain.mean(), abs=1e-6)
    assert values["profit_by_money"] == pytest.approx((gain @ money) / money.sum(), abs=1e-6)
    assert values["expected_loss_by_money"] == pytest.approx(
        0.52 * (rows.pd * money)[approved].sum() / money[approved].sum(), abs=1e-6
    )


def test_the_same_policy_changes_nothing() -> None:
    same = compare(draw(), policy(), policy())
    assert same["changed"] == 0
    parts = [*same["figures"].values(), *same["totals"].values()]
    assert {tuple(part["difference"].values()) for part in parts} == {(0.0, 0.0, 0.0)}
    assert same["swaps"]["newly_approved"]["rows"] == 0
    assert all(row[name] == 0 for old, row in same["moves"].items() for name in row if name != old)


def test_a_stricter_policy_approves_fewer_and_the_swap_set_names_them() -> None:
    rows = draw()
    content = compare(
        rows, policy(cut_off=0.2, refer_band=0.0), policy(cut_off=0.1, refer_band=0.0)
    )
    out = (rows.pd >= 0.1) & (rows.pd < 0.2)
    lost = content["swaps"]["no_longer_approved"]
    assert lost["rows"] == out.sum() == content["changed"]
    assert lost["bad_rate"]["value"] == pytest.approx(rows.bad[out].mean(), abs=1e-6)
    assert lost["bad_rate"]["low"] < lost["bad_rate"]["value"] < lost["bad_rate"]["high"]
    assert content["moves"]["approve"]["decline"] == out.sum()
    assert content["totals"]["approved"]["difference"]["value"] == -out.sum()


def test_rows_without_an_outcome_count_in_no_realised_figure() -> None:
    rows = draw()
    known = np.random.default_rng(2).random(rows.rows) < 0.5
    some = compare(replace(rows, bad=np.where(known, rows.bad, np.nan)), policy(), policy())
    part = ScoredRows(rows.pd[known], rows.bad[known])
    alone = compare(part, policy(), policy())
    for name in ("approved_bad_rate", "profit"):
        figure, same = (content["figures"][name]["present"] for content in (some, alone))
        assert figure == pytest.approx(same, abs=2e-6)
    assert some["outcomes"] == known.sum()
    assert some["figures"]["approval_rate"] != alone["figures"]["approval_rate"]


def test_a_small_group_has_only_its_number_and_the_best_group_a_ratio_of_one() -> None:
    groups = compare(draw(), policy(), policy(), minimum=100)["groups"]
    assert groups["age"]["rare"] == {"rows": 9, "present": None, "proposed": None}
    ratios = [facts["proposed"]["approval_ratio"] for facts in groups["sex"].values()]
    best = max(ratios, key=lambda ratio: ratio["value"])
    assert best == {"value": 1, "low": 1, "high": 1}
    other = min(ratios, key=lambda ratio: ratio["value"])
    assert other["low"] < other["value"] < other["high"]


def test_the_table_names_every_figure() -> None:
    text = table.as_text(compare(draw(), policy(), policy(refer_band=0.5)))
    titles = [*table.FIGURES.values(), *table.TOTALS.values()]
    assert [title for title in titles if title not in text] == []
    assert "nan" not in text


def test_intervals_of_profit_and_of_its_difference_hold_the_truth() -> None:
    both = strict, loose = policy(cut_off=0.1), policy(cut_off=0.2)
    held = np.zeros(2)
    truth = draw(400_000, seed=99)
    sides = [np.where(truth.pd < p.approve_below, 0.08 - 0.6 * truth.pd, 0) for p in both]
    true = sides[1].mean(), (sides[1] - sides[0]).mean()
    for seed in range(300):
        figure = compare(draw(1500, seed), strict, loose)["figures"]["profit"]
        for place, name in enumerate(("proposed", "difference")):
            held[place] += figure[name]["low"] <= true[place] <= figure[name]["high"]
    assert (held / 300 >= 0.92).all()


def test_clusters_widen_an_interval() -> None:
    rng = np.random.default_rng(3)
    part = np.repeat(rng.normal(size=500), 2)
    ratio, cluster = RatioOfSums(part, np.ones(1000)), np.repeat(np.arange(500), 2)
    alone, together = (ratio_intervals.interval(ratio, c) for c in (None, cluster))
    width = [bounds.high - bounds.low for bounds in (alone, together)]
    assert width[1] / width[0] == pytest.approx(math.sqrt(2), rel=0.01)
