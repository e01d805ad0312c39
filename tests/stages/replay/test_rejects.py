"""Reject inference as sensitivity: what is hidden, assumed and bounded."""

from __future__ import annotations

import numpy as np
import pytest

from stages.replay import rejects
from stages.replay.scored_rows import ScoredRows
from tests.stages.replay.test_comparison import policy

OLD, NEW = policy(cut_off=0.12, refer_band=0.0), policy(cut_off=0.25, refer_band=0.0)


def draw(seed: int, worse: float = 1.0, rows: int = 8000) -> ScoredRows:
    """Applications whose odds of default above the old cut-off are `worse` than their PDs say."""
    rng = np.random.default_rng(seed)
    pd = rng.beta(1.2, 8, rows)
    odds = pd / (1 - pd) * np.where(pd >= OLD.approve_below, worse, 1.0)
    return ScoredRows(pd, (rng.random(rows) < odds / (1 + odds)).astype(np.float64))


@pytest.mark.parametrize("worse", [1.0, 2.5])
def test_the_bounds_hold_the_truth_whatever_the_rejects_are_like(worse: float) -> None:
    methods = rejects.compare(draw(1, worse), OLD, NEW)["methods"]
    low, high = methods["bound: none goes bad"], methods["bound: all go bad"]
    for name in ("approved_bad_rate", "newly_approved_bad_rate"):
        assert low[name] <= methods["truth"][name] <= high[name]
    assert low["profit"] >= methods["truth"]["profit"] >= high["profit"]


def test_where_the_pds_are_right_extrapolation_is_near_the_truth() -> None:
    errors = []
    for seed in range(20):
        methods = rejects.compare(draw(seed), OLD, NEW)["methods"]
        truth = methods["truth"]["approved_bad_rate"]
        errors.append(
            [
                methods[m]["approved_bad_rate"] - truth
                for m in ("extrapolation", "fuzzy augmentation")
            ]
        )
    assert np.abs(np.mean(errors, axis=0)).max() < 0.003


def test_parcelling_with_a_factor_says_what_worse_rejects_would_change() -> None:
    methods = rejects.compare(draw(3), OLD, NEW)["methods"]
    rates = [methods[f"parcelling x {f:g}"]["newly_approved_bad_rate"] for f in rejects.FACTORS]
    assert rates == pytest.approx([rates[0] * factor for factor in rejects.FACTORS], abs=1e-5)


def test_no_method_sees_the_outcome_of_a_reject() -> None:
    rows = draw(4)
    hidden = rows.pd >= OLD.approve_below
    other = ScoredRows(rows.pd, np.where(hidden, 1 - rows.bad, rows.bad))
    first, second = (rejects.compare(r, OLD, NEW)["methods"] for r in (rows, other))
    assert {n: f for n, f in first.items() if n != "truth"} == {
        n: f for n, f in second.items() if n != "truth"
    }
    assert first["truth"] != second["truth"]


def test_the_table_names_every_method() -> None:
    content = rejects.compare(draw(5), OLD, NEW)
    text = rejects.as_text(content)
    assert all(name in text for name in content["methods"])
    assert f"{content['without_outcome']:,} of them without an outcome" in text
