from __future__ import annotations

import numpy as np
import pytest

from service import performance
from stages import metrics, reference

RNG = np.random.default_rng(3)
PD = np.clip(RNG.beta(0.3, 3, 30_000), 1e-4, 0.9999)
BAD = RNG.random(len(PD)) < PD
EXACT = {"slope": 1.0, "intercept": 0.0, "covariance": [[0.0, 0.0], [0.0, 0.0]]}


def windows(rows: int, count: int) -> list[np.ndarray]:
    return [RNG.choice(len(PD), rows, replace=False) for _ in range(count)]


def test_the_realised_auc_lies_in_the_interval_of_nine_windows_of_ten() -> None:
    inside = 0
    for own in windows(1000, 60):
        found = performance.estimate(PD[own], PD[own] < 0.1, EXACT)["roc_auc"]
        inside += found.low <= metrics.roc_auc(BAD[own], PD[own]) <= found.high
    assert inside >= 54


def test_windows_of_three_thousand_are_within_two_hundredths() -> None:
    for own in windows(3000, 20):
        found = performance.estimate(PD[own], PD[own] < 0.1, EXACT)["roc_auc"].value
        assert found == pytest.approx(metrics.roc_auc(BAD[own], PD[own]), abs=0.02)


def test_pds_that_were_off_on_validation_are_put_right() -> None:
    odds = 3 * PD / (1 - PD)
    off = odds / (1 + odds)
    calibration = reference.calibration(BAD[:20_000], off[:20_000])
    found = performance.estimate(off[20_000:], off[20_000:] < 0.1, calibration)["bad_rate"]
    assert found.low <= BAD[20_000:].mean() <= found.high


def test_the_auc_of_drawn_outcomes_is_that_of_the_metric() -> None:
    bad = RNG.random((3, 500)) < PD[:500]
    ranks = performance.rankdata(PD[:500])
    expected = [metrics.roc_auc(own, PD[:500]) for own in bad]
    np.testing.assert_allclose(performance.auc(bad, ranks), expected)


def test_nobody_approved_has_no_bad_rate() -> None:
    found = performance.estimate(PD[:100], np.zeros(100, dtype=bool), EXACT)
    assert np.isnan(found["approved_bad_rate"].value)
