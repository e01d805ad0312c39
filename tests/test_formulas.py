"""Formulas of any allowed form from raw files to decisions, advice and what is proved of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from service.decision.advice.explanation import explain
from service.decision.applications import InvalidApplication
from service.decision.engine import Engine
from stages.features.encoding import decode
from stages.judging import monotone
from stages.models import artifact
from stages.models.classifier import sum_by_field
from tests.support.books import CONTRACT, Project, book

TEXT = (
    CONTRACT.replace(
        "amount:\n    type: number", "amount:\n    type: number\n    actionable: decrease"
    )
    .replace("  arrears:", "  opened: {type: date}\n  granted: {type: date}\n  arrears:")
    .replace(
        "derived:\n",
        """derived:
  instalment: {formula: amount / months, when_empty: 0, feature: false}
  free_income: {formula: "log(1 + max(income / 12 - instalment, 0))", title: Income left over}
  relationship: {formula: "months_between(opened, granted)", unit: months}
  risky_purpose: {formula: "purpose in ('other', 'car') and not insured"}
""",
    )
    .replace(
        "checks:\n",
        """checks:
  opened_before: {rule: opened <= granted, message: Opened after the decision}
  short_other: {rule: "purpose != 'other' or months < 61", message: Too long}
""",
    )
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small book with formulas, and an account that was opened before each loan."""
    tables = book()
    granted = tables["loans"]["granted"].to_numpy().astype("datetime64[D]")
    age = np.random.default_rng(5).integers(0, 4000, len(granted))
    opened = (granted - age.astype("timedelta64[D]")).astype(str).astype(object)
    tables["loans"] = tables["loans"].assign(opened=opened)
    tables["loans"].loc[3, "opened"] = "2030-01-01"
    folder = tmp_path_factory.mktemp("formulas")
    rule = {"rule": "free_income < 2 and loan_to_income > 0.1", "decision": "refer", "reason": "x"}
    project = Project(folder, TEXT, candidates=["lightgbm"], policy__rules=[rule])
    return project.write(tables).run("preprocess", "featurize", "lightgbm", "evaluate")


@pytest.fixture(scope="module")
def engine(project: Project) -> Engine:
    """The engine of the winner, which has proven the golden records."""
    return Engine.load(project.folder)


def test_rows_that_break_a_general_check_are_dropped(project: Project) -> None:
    quality = json.loads((project.data / "quality.json").read_text())
    assert quality["invalid"]["opened: opened_before (Opened after the decision)"]["rows"] == 1


def test_formulas_are_features_computed_step_by_step(engine: Engine) -> None:
    assert {"free_income", "relationship", "risky_purpose"} <= {*engine.features.names}
    assert "instalment" not in engine.features.names
    application = {"amount": 1200, "months": 12, "income": 13200, "purpose": "car"}
    dates = {"opened": "2019-01-31", "granted": "2020-02-29", "insured": False}
    x = dict(zip(engine.features.names, engine.matrix(application | dates)[0], strict=True))
    assert x["free_income"] == np.log(1001)
    assert (x["relationship"], x["risky_purpose"]) == (12, 1)


def test_contributions_to_formulas_still_add_up_by_raw_field(engine: Engine) -> None:
    x = engine.matrix(*(record["application"] for record in engine.golden))
    values = engine.contributions(x)
    by_field = sum_by_field(values[:, :-1], engine.features)
    assert "opened" in by_field
    total = sum(by_field.values()) + values[:, -1]
    np.testing.assert_allclose(total, engine.margin(x), rtol=0, atol=1e-9)


def test_an_application_is_checked_by_general_rules(engine: Engine) -> None:
    good = engine.golden[0]["application"] | {"opened": "2020-01-01", "granted": "2020-05-01"}
    engine.decide(good)
    with pytest.raises(InvalidApplication, match="Opened after the decision") as refused:
        engine.decide(good | {"opened": "2021-01-01"})
    assert refused.value.problems[0].field == "opened"
    with pytest.raises(InvalidApplication, match="Too long"):
        engine.decide(good | {"purpose": "other", "months": 61})
    with pytest.raises(InvalidApplication, match="a date YYYY-MM-DD"):
        engine.decide(good | {"opened": "1.1.2020"})


def test_advice_through_a_formula_is_approved_but_not_called_proved(engine: Engine) -> None:
    policy = engine.policy.model_copy(update={"cut_off": 0.2})
    strict = Engine(engine.model, policy, engine.identity)
    explained = [explain(strict, record["application"]) for record in engine.golden]
    refused = [e["what_would_change_it"] for e in explained if e["decision"] != "approve"]
    assert refused
    assert not any(answer["proved"] for answer in refused)
    for answer in refused:
        assert all(way["decision"] == "approve" for way in answer["ways"])


def test_a_direction_that_a_formula_reads_is_said_to_be_sampled(
    project: Project, engine: Engine
) -> None:
    rows = engine.matrix(*(record["application"] for record in engine.golden))
    assert len(rows)
    evaluation = json.loads((project.folder / "models/evaluation.json").read_text())
    model = artifact.load(project.artifact("lightgbm"))
    encoded = model.features.encode(project.columns("test"))
    directions = monotone.check_directions(model, encoded, np.arange(len(encoded)))
    assert directions["amount"]["sampled_for"] == ["free_income"]
    assert not directions["amount"]["proved"]
    assert json.dumps(evaluation).count("sampled_for") == 1


def test_dates_turn_back_into_the_days_of_an_application(engine: Engine) -> None:
    field = next(f for f in engine.features.inputs if f.name == "opened")
    assert decode(field, 18262.0) == "2020-01-01"
    assert all("opened" in record["application"] for record in engine.golden)


def test_batches_of_columns_have_the_bits_of_single_rows(engine: Engine, tmp_path: Path) -> None:
    rows = [record["application"] for record in engine.golden]
    columns = {f.name: [row.get(f.name) for row in rows] for f in engine.features.inputs}
    together = [d.default_probability for d in engine.decide_matrix(engine.features(columns))]
    assert together == [engine.decide(row).default_probability for row in rows]
