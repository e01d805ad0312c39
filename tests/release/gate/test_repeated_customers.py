"""The gate counts loans of one customer together: writing each four times is no more evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from release.gate import checks, comparison, limits
from release.gate.comparison import PairedRows
from stages.judging.evaluation import Judged
from stages.policy.decisions import DECISIONS
from tests.support.books import ROOT

LIMITS = limits.read((ROOT / "models" / "gate.yaml").read_text())
CUT_OFF = 0.2


def judge(bad: np.ndarray, pd_: np.ndarray, times: int) -> Judged:
    """Return loans, each `times` times, of one customer each."""
    decision = np.where(pd_ < CUT_OFF, DECISIONS.index("approve"), DECISIONS.index("decline"))
    columns = (np.tile(values, times) for values in (bad, pd_, decision))
    return Judged(*columns, cluster=np.tile(np.arange(len(bad)), times))


def pair(times: int, loans: int = 1200) -> PairedRows:
    """Return champion and challenger on such loans, of two groups."""
    generator = np.random.default_rng(4)
    said = generator.uniform(0.02, 0.5, loans)
    bad = (generator.random(loans) < said).astype(np.int64)
    other = np.clip(said + generator.normal(0, 0.05, loans), 0.01, 0.99)
    group = np.where(generator.random(loans) < said, "a", "b")
    return PairedRows(
        champion=judge(bad, other, times),
        challenger=judge(bad, said, times),
        groups=pd.DataFrame({"group_sex": np.tile(group, times)}),
        share=1.0,
        moved=0,
        edited=0,
    )


def test_delong_of_repeated_loans_is_that_of_the_loans() -> None:
    once, again = comparison.delong(pair(1)), comparison.delong(pair(4))
    assert once is not None
    assert again is not None
    assert again.standard_error == pytest.approx(once.standard_error, rel=0.01)
    assert again.p_value == pytest.approx(once.p_value, rel=0.05)
    rows = pair(4)
    alone = replace(rows, champion=replace(rows.champion, cluster=None))
    taken_for_strangers = comparison.delong(alone)
    assert taken_for_strangers is not None
    assert taken_for_strangers.standard_error == pytest.approx(once.standard_error / 2, rel=0.01)


def test_the_ratio_of_approval_rates_of_repeated_loans_is_no_more_certain() -> None:
    once, again = (
        checks.groups(rows.challenger, rows.groups, LIMITS.groups) for rows in (pair(1), pair(4))
    )
    assert [group.ratio for group in again] == [group.ratio for group in once]
    highs = [group.ratio_high for group in once]
    assert [group.ratio_high for group in again] == pytest.approx(highs, rel=0.01)


def test_defaults_of_one_customer_count_as_one() -> None:
    rows = pair(4, loans=100).challenger
    bads = int(rows.bad.sum())
    (finding,) = checks.enough_outcomes(rows, LIMITS)
    assert bads > LIMITS.min_bads
    assert finding.status == "cannot judge"
    assert (
        f"{bads} defaults among 400 test rows, worth {bads // 4} independent ones" in finding.words
    )
