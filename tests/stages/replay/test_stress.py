"""Stress scenarios: shifted applications through the one feature code, and shifted odds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.contract import reading as contracts
from stages.models.artifact import Model
from stages.replay import stress
from stages.replay.policy_file import ReplayError
from stages.replay.scored_rows import ScoredRows
from stages.replay.stress import Scenario
from tests.stages.replay.test_comparison import policy
from tests.support.books import ROOT, Project

MILD = {
    "fields": {"income": {"multiply": 0.8}, "months": {"add": 2.4}},
    "drivers": {"unemployment": {"from": 5, "to": 10, "elasticity": 1}},
}


def score(project: Project, model: Model, scenario: Scenario) -> tuple[ScoredRows, ScoredRows]:
    columns = project.columns("test")
    pd = model.predict(columns)
    rows = ScoredRows(pd, np.zeros(len(pd)))
    return rows, stress.score(scenario, model, columns, rows)


def test_a_scenario_in_which_nothing_changes_keeps_every_bit(
    fitted_book: Project, fitted: Model
) -> None:
    same = Scenario.model_validate({"fields": {"income": {}}})
    rows, stressed = score(fitted_book, fitted, same)
    assert np.array_equal(rows.pd, stressed.pd)
    assert np.isnan(stressed.bad).all()


def test_a_shifted_field_scores_as_an_application_that_states_it(
    fitted_book: Project, fitted: Model
) -> None:
    scenario = Scenario.model_validate({"fields": MILD["fields"]})
    _, stressed = score(fitted_book, fitted, scenario)
    columns = fitted_book.columns("test")
    for row in range(0, 40):
        application = {name: values[row] for name, values in columns.items()}
        application["income"] = application["income"] * 0.8
        months = application["months"] + 2.4
        application["months"] = None if np.isnan(months) else min(round(months), 120)
        assert fitted.predict_one(application) == stressed.pd[row]


def test_a_driver_multiplies_the_odds_by_its_ratio_to_the_elasticity(
    fitted_book: Project, models: dict[str, Model]
) -> None:
    scenario = Scenario.model_validate({"drivers": MILD["drivers"]})
    rows, stressed = score(fitted_book, models["logistic"], scenario)
    odds = [pd / (1 - pd) for pd in (rows.pd, stressed.pd)]
    assert odds[1] / odds[0] == pytest.approx(np.full(len(rows.pd), 2.0))


def test_losses_of_loans_that_are_approved_at_present_rise_by_the_scenario(
    fitted_book: Project, models: dict[str, Model]
) -> None:
    rows, stressed = score(fitted_book, models["logistic"], Scenario.model_validate(MILD))
    content = stress.compare(rows, {"mild": stressed}, policy(cut_off=0.2), "other_retail")
    before = policy(cut_off=0.2).decide(rows.pd, {}) == 0
    stated = [content[n]["decided_before"]["expected_loss"] for n in ("present", "mild")]
    for figure, pd in zip(stated, (rows.pd, stressed.pd), strict=True):
        assert figure["value"] == pytest.approx(0.52 * pd[before].mean(), abs=1e-6)
        assert figure["low"] < figure["value"] < figure["high"]
    assert stated[1]["value"] > stated[0]["value"]
    assert content["mild"]["changed"] > content["present"]["changed"] == 0
    assert "Loans approved before: expected loss" in stress.as_text(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenarios: {a: {fields: {income: {times: 2}}}}", "scenarios.a.fields.income.times"),
        ("scenarios: {a: {drivers: {gdp: {from: 0, to: 1, elasticity: 1}}}}", "greater than 0"),
        ("scenarios: {}", "at least 1"),
        ("a: [", "not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "scenarios.yaml"
    file.write_text(text)
    with pytest.raises(ReplayError, match=message):
        stress.read(file)


def test_an_unknown_key_is_named_with_those_that_are_known(tmp_path: Path) -> None:
    file = tmp_path / "scenarios.yaml"
    file.write_text("scenarios: {recession: {feilds: {income: {add: 1}}}}")
    with pytest.raises(
        ReplayError, match=r"recession\.feilds: unknown parameter; known are fields, drivers"
    ):
        stress.read(file)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "scenarios.yaml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ReplayError, match=r"scenarios\.yaml must be a text in UTF-8; it is"):
        stress.read(file)


def test_a_field_that_no_application_has_is_named(
    fitted_book: Project, models: dict[str, Model]
) -> None:
    unknown = Scenario.model_validate({"fields": {"sex": {"add": 1}}})
    with pytest.raises(ReplayError, match="must be among amount, months, income"):
        score(fitted_book, models["logistic"], unknown)


@pytest.mark.parametrize("dataset", ["loan_book", "loan_applications"])
def test_the_shipped_scenarios_are_of_fields_of_their_book(dataset: str) -> None:
    scenarios = stress.read(ROOT / "data" / dataset / "scenarios.yaml")
    fields = contracts.load(dataset).inputs("application")
    columns = {field.name: np.ones(2) for field in fields}
    for scenario in scenarios.values():
        stress.shift_columns(scenario, fields, columns)
