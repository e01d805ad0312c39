"""Figures of the dossier do not take loans for independent that go good or bad together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.dossier import calculations

RATINGS = {"A": 0.1, "B": 0.25, "C": 1.0}


def predictions(loans: int, times: int) -> pd.DataFrame:
    """Return predictions of loans, each of which stands there several times."""
    generator = np.random.default_rng(3)
    said = generator.uniform(0.02, 0.5, loans)
    rows = pd.DataFrame(
        {
            "bad": (generator.random(loans) < said).astype(np.int64),
            "pd": said,
            "decision": np.where(said < 0.2, "approve", "decline"),
            "cluster": np.arange(loans),
        }
    )
    return pd.concat([rows] * times, ignore_index=True)


def widths(figures: dict[str, Any]) -> list[float]:
    stated = [figures[name] for name in ("bad_rate", "approval_rate", "roc_auc")]
    return [figure["high"] - figure["low"] for figure in stated]


def test_writing_every_loan_four_times_narrows_no_interval_of_a_part() -> None:
    once, again = (calculations.judge_rows(predictions(400, times)) for times in (1, 4))
    assert widths(again) == pytest.approx(widths(once), rel=0.02)
    alone = calculations.judge_rows(predictions(400, 4).drop(columns="cluster"))
    assert widths(alone) == pytest.approx([width / 2 for width in widths(once)], rel=0.05)


def test_writing_every_loan_four_times_is_no_evidence_against_a_grade() -> None:
    once, again = (calculations.judge_grades(predictions(400, n), RATINGS) for n in (1, 4))
    for name in ("binomial", "jeffreys", "light"):
        assert [grade[name] for grade in again["grades"]] == pytest.approx(
            [grade[name] for grade in once["grades"]]
        )
    assert again["hosmer_lemeshow"] == pytest.approx(once["hosmer_lemeshow"])
    assert [grade["rows"] for grade in again["grades"]] == [
        4 * grade["rows"] for grade in once["grades"]
    ]


def test_rows_whose_clusters_are_not_known_count_one_by_one() -> None:
    rows = predictions(100, 1)
    assert calculations.cluster_of(rows.assign(cluster=np.nan)) is None
    assert calculations.cluster_of(rows.drop(columns="cluster")) is None


def test_writing_every_loan_four_times_narrows_no_ratio_of_approval_rates() -> None:
    stated = []
    for times in (1, 4):
        rows = predictions(400, times)
        groups = pd.Series(np.where(rows["cluster"] % 3 == 0, "a", "b"))
        stated.append(calculations.compare_approval(rows, groups, 50))
    for name in ("a", "b"):
        once, again = (each[name]["ratio"] for each in stated)
        assert again == pytest.approx(once, rel=1e-9)
