"""Each rule fires on its drift and is quiet without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.monitoring import drift
from stages.contract import reading as contracts
from stages.features.matrix import Features
from stages.judging import reference
from stages.simulation import population

ROWS = 20_000
CONTRACT = contracts.load("loan_book")
FEATURES = Features(CONTRACT, "application")


def live(rows: int, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """Raw columns of simulated applications, and their true PD."""
    drawn = population.draw(rows, seed)
    # Simulated loans come in the order of time, and drift mildly with it.
    order = np.random.default_rng(seed).permutation(rows)
    columns = {f.name: np.asarray(drawn[f.name])[order].tolist() for f in FEATURES.inputs}
    return columns, np.clip(drawn["true_pd"][order], 1e-4, 1 - 1e-4)


def by_name(columns: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(FEATURES.names, FEATURES(columns).T, strict=True))


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    columns, pd = live(ROWS, 1)
    bad = np.random.default_rng(0).random(ROWS) < pd
    return reference.make_reference(CONTRACT, FEATURES, FEATURES(columns), bad, pd)


@pytest.mark.parametrize(("rows", "windows"), [(100, 200), (1000, 40), (10_000, 4)])
def test_without_drift_there_is_no_finding_in_any_window(
    known: dict[str, Any], rows: int, windows: int
) -> None:
    columns, pd = live(rows * windows, 2)
    matrix = by_name(columns)
    false = 0
    for start in range(0, rows * windows, rows):
        window = slice(start, start + rows)
        part = {n: v[window] for n, v in matrix.items()}
        false += bool(drift.report(known, part, pd[window])["findings"])
    assert false <= windows * 0.01


def test_a_score_known_from_few_rows_is_held_to_a_wider_bound() -> None:
    columns, pd = live(ROWS, 6)
    bad = np.random.default_rng(0).random(ROWS) < pd
    few = reference.make_reference(CONTRACT, FEATURES, FEATURES(columns), bad[:1000], pd[:1000])
    few["score"] |= {"rows": 1000}
    matrix, their = live(10_000, 26)
    psi = drift.report(few, by_name(matrix), their)["score"]["psi"]
    assert 0.01 < psi["value"] < psi["bound"]


@pytest.mark.parametrize(
    ("factor", "rows", "loudest"),
    [(0.9, 10_000, "notice"), (0.5, 100, "alarm"), (0.1, 100, "alarm")],
)
def test_a_lower_income_is_named(
    known: dict[str, Any], factor: float, rows: int, loudest: str
) -> None:
    columns, pd = live(rows, 3)
    columns["income"] = [v * factor for v in columns["income"]]
    findings = drift.report(known, by_name(columns), pd)["findings"]
    assert next(f["loudness"] for f in findings if f["field"] == "income") == loudest


def test_the_plain_rule_of_three_deviations_never_finds_it(known: dict[str, Any]) -> None:
    columns, pd = live(1000, 3)
    columns["income"] = [v * 0.1 for v in columns["income"]]
    assert drift.report(known, by_name(columns), pd)["features"]["income"]["plain_sd_rule"] < 3


def test_a_category_that_grows_is_named(known: dict[str, Any]) -> None:
    columns, pd = live(1000, 4)
    columns["loan_purpose"] = ["Education"] * 1000
    report = drift.report(known, by_name(columns), pd)
    assert ("loan_purpose", "psi") in {(f["field"], f["rule"]) for f in report["findings"]}


def test_a_category_unseen_in_training_is_named(known: dict[str, Any]) -> None:
    residence = known["features"]["residence_type"]
    shares = [0.0, residence["shares"][0] + residence["shares"][1], residence["shares"][2]]
    changed = known["features"] | {"residence_type": residence | {"shares": shares}}
    columns, pd = live(1000, 5)
    report = drift.report(known | {"features": changed}, by_name(columns), pd)
    assert ("residence_type", "unseen") in {(f["field"], f["rule"]) for f in report["findings"]}


@pytest.mark.parametrize(
    ("rule", "broken"), [("constant", [1e6] * 1000), ("missing", [None] * 300 + [1e6, 2e6] * 350)]
)
def test_a_broken_feed_is_blamed_on_the_data_source(
    known: dict[str, Any], rule: str, broken: list[Any]
) -> None:
    columns, pd = live(1000, 6)
    columns["bank_balance_at_application"] = broken
    report = drift.report(known, by_name(columns), pd)
    findings = {(f["field"], f["rule"]) for f in report["findings"]}
    assert ("bank_balance_at_application", rule) in findings
    assert "data source of bank_balance_at_application" in report["advice"]


def test_a_change_from_yearly_to_monthly_is_recognised(known: dict[str, Any]) -> None:
    columns, pd = live(1000, 7)
    columns["income"] = [v / 12 for v in columns["income"]]
    words = [f["words"] for f in drift.report(known, by_name(columns), pd)["findings"]]
    assert any("1/12 of what it was: another unit?" in text for text in words)


def test_values_beyond_all_of_training_are_named(known: dict[str, Any]) -> None:
    columns, pd = live(1000, 8)
    columns["enquiry_count"] = [150] * 50 + columns["enquiry_count"][50:]
    report = drift.report(known, by_name(columns), pd)
    assert ("enquiry_count", "out_of_bounds") in {
        (f["field"], f["rule"]) for f in report["findings"]
    }


def test_a_score_that_moves_alone_asks_for_recalibration(known: dict[str, Any]) -> None:
    columns, pd = live(1000, 9)
    odds = 4 * pd / (1 - pd)
    report = drift.report(known, by_name(columns), odds / (1 + odds))
    assert report["advice"].startswith("Recalibrate")
    assert report["score"]["level"] == pytest.approx(np.log(4), abs=0.3)
    assert report["score"]["shape"] < 0.1


def sources() -> dict[str, tuple[str, ...]]:
    return dict(zip(FEATURES.names, FEATURES.sources, strict=True))


def test_a_ratio_that_moved_is_traced_to_the_field_that_moved_it(known: dict[str, Any]) -> None:
    columns, pd = live(1000, 10)
    columns["income"] = [v * 0.1 for v in columns["income"]]
    matrix = by_name(columns)
    report = drift.report(known, matrix, pd, sources=sources())
    assert "loan_to_income" in {f["field"] for f in report["findings"]}
    assert report["advice"] == "Look at the data source of income."


def test_a_ratio_whose_fields_stayed_is_traced_to_all_of_them() -> None:
    shifts = {"loan_to_income": 3.0, "income": 0.5, "loan_amount": 0.4}
    assert drift.raw_fields(["loan_to_income"], shifts, sources()) == "income, loan_amount"
    assert drift.raw_fields(["loan_to_income"], shifts | {"income": 0.9}, sources()) == "income"


def test_people_read_the_score_in_points(known: dict[str, Any]) -> None:
    columns, pd = live(1000, 9)
    odds = 4 * pd / (1 - pd)
    moved = odds / (1 + odds)
    report = drift.report(
        known, by_name(columns), moved, points=lambda p: 600 - 20 * np.log2(p / (1 - p))
    )
    words = [f["words"] for f in report["findings"] if (f["field"], f["rule"]) == ("score", "mean")]
    assert len(words) == 1
    before, now = (int(word) for word in words[0].split() if word.isdigit())
    assert words[0].endswith("points")
    assert 30 < before - now < 50
