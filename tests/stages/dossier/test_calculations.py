"""Figures of the dossier do not take loans for independent that go good or bad together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from benches.judging import coverage
from stages.dossier import calculations
from stages.metrics import metrics
from stages.metrics.rate_intervals import Interval

RATINGS = {"A": 0.1, "B": 0.25, "C": 1.0}


def predictions(loans: int, times: int) -> pd.DataFrame:
    """Return predictions of loans, each of which stands there several times."""
    generator = np.random.default_rng(3)
    stated = generator.uniform(0.02, 0.5, loans)
    rows = pd.DataFrame(
        {
            "bad": (generator.random(loans) < stated).astype(np.int64),
            "pd": stated,
            "decision": np.where(stated < 0.2, "approve", "decline"),
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


def test_writing_every_loan_four_times_narrows_no_ratio_of_approval_rates() -> None:
    stated = []
    for times in (1, 4):
        rows = predictions(400, times)
        groups = pd.Series(np.where(rows["cluster"] % 3 == 0, "a", "b"))
        stated.append(calculations.compare_approval(rows, groups, 50))
    for name in ("a", "b"):
        once, again = (each[name]["ratio"] for each in stated)
        assert again == pytest.approx(once, rel=1e-9)


def simulate(kind: str, rows: int, seed: int) -> pd.DataFrame:
    """Return predictions of a simulated book; the groups differ in risk."""
    bad, said, _, _, _ = coverage.draw(kind, rows, seed)
    customer = np.arange(rows) // coverage.LOANS
    noise = np.random.default_rng(seed).normal(size=rows)[customer]
    table = pd.DataFrame(
        {
            "bad": bad.astype(np.int64),
            "pd": said,
            "decision": np.where(said < coverage.CUT_OFF, "approve", "decline"),
            "group": np.where(np.log(said / (1 - said)) + noise < -2.6, "low", "high"),
        }
    )
    return table.assign(cluster=customer) if kind == coverage.CUSTOMERS else table


def figures_of(rows: pd.DataFrame) -> dict[str, Interval]:
    """Return every interval that the dossier states of some rows."""
    facts = calculations.judge_rows(rows)
    ratios = calculations.compare_approval(rows, rows["group"], 20)
    grade = calculations.judge_grades(rows, RATINGS)["grades"][0]
    stated = {name: facts[name] for name in ("bad_rate", "approval_rate", "roc_auc")}
    stated |= {"ratio": ratios["high"]["ratio"], "grade": grade["bad_rate"]}
    return {name: Interval(f["value"], f["low"], f["high"]) for name, f in stated.items()}


@pytest.mark.parametrize("kind", ["calibrated", coverage.CUSTOMERS])
def test_every_interval_of_the_dossier_holds_the_truth_as_often_as_it_says(kind: str) -> None:
    """Of 300 books, 95 % hold with a standard error of 1.3 points: 90 % is four of them away."""
    large = simulate(kind, 400_000, 1)
    approved = (large["decision"] == "approve").groupby(large["group"]).mean()
    true = {
        "bad_rate": large["bad"].mean(),
        "approval_rate": (large["decision"] == "approve").mean(),
        "roc_auc": metrics.roc_auc(large["bad"], large["pd"]),
        "ratio": approved["high"] / approved["low"],
        "grade": large["bad"][large["pd"] < RATINGS["A"]].mean(),
    }
    held: dict[str, list[bool]] = {name: [] for name in true}
    for seed in range(300):
        for name, interval in figures_of(simulate(kind, 1500, seed + 10)).items():
            held[name].append(coverage.holds(interval, true[name]))
    shares = {name: float(np.mean(values)) for name, values in held.items()}
    assert all(0.9 <= share <= 0.995 for share in shares.values()), shares
