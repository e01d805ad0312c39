"""The sequential monitors: rare alarms in quiet years, drifts found soon, and on a real ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches.judging import sequential_monitors as bench
from service.monitoring.sequential import FALSE_ALARMS, OddsTest, SequentialTests, in_group
from tests.service.monitoring.test_monitor import decide, monitor, root

__all__ = ["monitor", "root"]
YEARS = 200
CALIBRATION = {"covariance": [[0.0, 0.0], [0.0, 0.0025]]}
NEW_YEAR = np.datetime64("2026-01-01")


def test_at_most_one_quiet_year_in_twenty_ever_alarms() -> None:
    alarmed = 0
    for seed in range(YEARS):
        streams = bench.streams(bench.Year(seed)).values()
        alarmed += any(bench.first_alarm(*s, look=1000) is not None for s in streams)
    assert alarmed <= FALSE_ALARMS * YEARS


@pytest.mark.parametrize("drift", bench.DRIFTS)
def test_a_drift_is_found_within_one_and_a_half_times_the_delay_of_a_fixed_test(drift: str) -> None:
    name, change = bench.DRIFTS[drift]
    sequential, fixed = bench.delays(lambda seed: bench.Year(seed, **change), name, 9)
    assert sequential <= 1.5 * fixed


def test_a_bet_is_never_expected_to_win_while_the_statement_holds() -> None:
    for margin in (0.0, 0.1):
        for stated in (0.01, 0.3, 0.9):
            for true in (stated, *bounds(stated, margin)):
                wealth = [one_day(stated, margin, event) for event in (False, True)]
                assert (1 - true) * wealth[0] + true * wealth[1] <= 1 + 1e-12


def bounds(stated: float, margin: float) -> tuple[float, float]:
    odds = stated / (1 - stated) * np.exp([-margin, margin])
    low, high = odds / (1 + odds)
    return float(low), float(high)


def one_day(stated: float, margin: float, event: bool) -> float:
    test = OddsTest(margin, 0.05)
    test.observe(np.array(["2026-12-31"], "datetime64[D]"), np.array([stated]), np.array([event]))
    return test.evidence


def test_a_refuted_statement_stays_so_until_later_observations_speak_for_it() -> None:
    test, stated = OddsTest(0.05, 0.05), np.full(500, 0.1)
    days = NEW_YEAR + np.arange(500) // 50
    drifted, usual = np.arange(500) % 2 == 0, np.arange(500) % 10 == 0
    for later in (0, 20, 40):
        test.observe(days + later, stated, drifted)
        assert test.is_refuted
    test.observe(days + 60, stated, usual)
    assert (test.is_refuted, test.seen) == (False, 0)
    test.observe(days + 80, stated, drifted)
    assert test.is_refuted


def test_a_year_begins_anew() -> None:
    test, stated = OddsTest(0.05, 0.05), np.full(500, 0.1)
    days, usual = NEW_YEAR + np.arange(500) // 50, np.arange(500) % 10 == 0
    test.observe(days, stated, np.arange(500) % 2 == 0)
    test.observe(days + 365, stated, usual)
    assert (test.is_refuted, test.year, test.seen) == (False, 2027, 500)
    test.observe(days, stated, usual)
    assert test.seen == 500


def test_outcomes_count_the_same_whichever_became_known_first() -> None:
    rng = np.random.default_rng(3)
    days, pd = NEW_YEAR + np.sort(rng.integers(0, 300, 900)), rng.uniform(0.02, 0.3, 900)
    bad, order = rng.random(900) < pd, rng.permutation(900)
    tests = [SequentialTests(CALIBRATION, {}) for _ in range(2)]
    tests[0].set_outcomes(days, pd, bad)
    tests[1].set_outcomes(days[order], pd[order], bad[order])
    first, second = (test.calibration.evidence for test in tests)
    assert first == pytest.approx(second, rel=1e-9)


@pytest.mark.parametrize(
    ("group", "values", "members"),
    [
        ("F", ["F", "M", None], [True, False, False]),
        ("missing", ["F", None], [False, True]),
        ("below 33", [20, 33, None], [True, False, False]),
        ("33 to 40", [32, 33, 40], [False, True, False]),
        ("46 and above", [45.9, 46, 80], [False, True, True]),
        ("missing", [1, None], [False, True]),
    ],
)
def test_values_belong_to_the_groups_of_the_evaluation(
    group: str, values: list[Any], members: list[bool]
) -> None:
    assert in_group(group, values).tolist() == members


def test_without_an_evaluation_approvals_have_no_test() -> None:
    tests = SequentialTests(CALIBRATION, {})
    assert tests.approval == {}
    assert tests.findings() == []


def test_decisions_like_those_of_the_test_rows_are_quiet(monitor: Any, root: Path) -> None:
    decide(monitor, root, rows=300)
    report = monitor.judge(100)
    assert "approval" in report["sequential"]
    assert monitor.sequential.findings() == []


def test_a_change_of_approvals_opens_an_incident_once(monitor: Any, root: Path) -> None:
    decide(monitor, root, factor=30, rows=300)
    assert monitor.report_due_windows()
    opened = [i for i in monitor.reports.open_incidents() if i["key"].startswith("sequential/")]
    assert "sequential/approval rate" in [incident["key"] for incident in opened]
    assert "expected" in opened[0]["words"]
    before = len(monitor.reports.open_incidents())
    decide(monitor, root, factor=30, rows=100)
    monitor.report_due_windows()
    assert len(monitor.reports.open_incidents()) == before


def test_decisions_are_read_once(monitor: Any, root: Path) -> None:
    decide(monitor, root, rows=200)
    monitor.sequential.read_decisions(monitor.ledger, monitor.model)
    monitor.sequential.read_decisions(monitor.ledger, monitor.model)
    whole = monitor.sequential.approval["", ""]
    assert whole.seen == 200
    judged = json.loads((root / "models" / "evaluation.json").read_text())
    assert whole.expected == pytest.approx(200 * judged["test"]["approval_rate"]["value"])
