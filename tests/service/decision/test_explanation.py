"""Explanations add up, and what would change a decision does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.decision.advice.explanation import explain
from service.decision.engine import Engine
from service.decision.reasons import LEAST, MOST
from tests.support.books import CANDIDATES, Project
from tests.support.trained.winners import crown, draw, loan_book, with_and_without


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine.load(loan_book(tmp_path_factory.mktemp("book"), "lightgbm"))


@pytest.fixture(scope="module")
def explained(engine: Engine) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Applications and their explanations: golden records and random ones."""
    applications = [r["application"] for r in engine.golden] + draw(engine.applications, 40, seed=9)
    return [(each, explain(engine, each)) for each in applications]


@pytest.fixture(params=CANDIDATES)
def any_engine(request: pytest.FixtureRequest, fitted_book: Project, tmp_path: Path) -> Engine:
    return Engine.load(crown(fitted_book, request.param, tmp_path / "own"))


def test_contributions_add_up_to_the_margin(any_engine: Engine) -> None:
    for each in draw(any_engine.applications, 15):
        explanation = explain(any_engine, each)
        total = explanation["base_value"] + sum(
            c["contribution"] for c in explanation["contributions"]
        )
        assert total == pytest.approx(explanation["margin"], abs=1e-5)
        assert explanation["margin"] == any_engine.margin(any_engine.matrix(each))[0]


def test_points_add_up_to_the_score(any_engine: Engine) -> None:
    for each in draw(any_engine.applications, 15):
        explanation = explain(any_engine, each)
        policy, calibrator = any_engine.policy, any_engine.model.calibrator
        at_base = policy.score(calibrator(np.array([explanation["base_value"]])))[0]
        total = at_base + sum(c["points"] for c in explanation["contributions"])
        assert round(total) == pytest.approx(explanation["credit_score"], abs=1)


def test_every_feature_is_in_one_fact(any_engine: Engine) -> None:
    explanation = explain(any_engine, any_engine.golden[0]["application"])
    features = [name for c in explanation["contributions"] for name in c["features"]]
    assert sorted(features) == sorted(any_engine.features.names)


@pytest.mark.parametrize("by_rule", ["refer", "decline"])
def test_a_decision_of_a_rule_is_explained_by_the_reasons_of_the_decision(
    fitted_book: Project, tmp_path: Path, by_rule: str
) -> None:
    rule = {"rule": "amount >= 0", "decision": by_rule, "reason": "A rule of the lender"}
    engine, _ = with_and_without(rule, fitted_book, "lightgbm", tmp_path)
    for each in draw(engine.applications, 15):
        decided, explanation = engine.decide(each), explain(engine, each)
        assert explanation["decision"] == decided.decision != "approve"
        assert explanation["reasons"] == decided.reasons


def test_what_counted_against_an_approved_application_is_told_beside_rules_that_it_keeps(
    fitted_book: Project, tmp_path: Path
) -> None:
    rule = {"rule": "amount >= 1e12", "decision": "decline", "reason": "No loans at present"}
    engine, without = with_and_without(rule, fitted_book, "lightgbm", tmp_path)
    told = [
        (explain(engine, each), explain(without, each)) for each in draw(engine.applications, 40)
    ]
    approved = [pair for pair in told if pair[0]["decision"] == "approve" and pair[1]["reasons"]]
    assert approved
    assert all(ruled["reasons"] == plain["reasons"] for ruled, plain in told)


def test_a_ratio_belongs_to_its_numerator(any_engine: Engine) -> None:
    application = any_engine.golden[0]["application"]
    explanation = explain(any_engine, application)
    shares = {c["title"]: c["contribution"] for c in explanation["contributions"]}
    contributions = any_engine.contributions(any_engine.matrix(application))[0]
    by_name = dict(zip(any_engine.features.names, contributions.tolist(), strict=False))
    assert shares["amount"] == pytest.approx(by_name["amount"] + by_name["loan_to_income"])
    assert shares["income"] == by_name["income"]


def test_a_fact_shows_the_values_that_it_is_made_of(any_engine: Engine) -> None:
    application = any_engine.golden[0]["application"]
    amount = next(
        c for c in explain(any_engine, application)["contributions"] if c["title"] == "amount"
    )
    shown = {value["field"]: value["value"] for value in amount["values"]}
    assert shown["amount"] == application["amount"]
    ratio = application["amount"] / application["income"]
    assert shown["loan_to_income"] == pytest.approx(ratio, rel=1e-3)


def test_the_reasons_are_the_largest_bars_against_the_application(explained: Any) -> None:
    several = 0
    for _, explanation in explained:
        bars = [c for c in explanation["contributions"] if c["contribution"] > 0]
        strong = [c for n, c in enumerate(bars) if n == 0 or c["contribution"] >= LEAST]
        against = [c["features"] for c in strong][:MOST]
        fields = [reason["field"] for reason in explanation["reasons"]]
        several += len(fields) > 1
        if against:
            assert len(fields) == len(against)
            assert all(
                field in contributed for field, contributed in zip(fields, against, strict=True)
            )
    assert several > 5


def test_the_largest_contribution_comes_first(any_engine: Engine) -> None:
    explanation = explain(any_engine, any_engine.golden[0]["application"])
    sizes = [abs(c["contribution"]) for c in explanation["contributions"]]
    assert sizes == sorted(sizes, reverse=True)


def test_an_explanation_is_of_the_decision(engine: Engine, explained: Any) -> None:
    for application, explanation in explained:
        decision = engine.decide(application)
        assert explanation["default_probability"] == decision.default_probability
        assert explanation["decision"] == decision.decision
        assert decision.decision == "approve" or explanation["reasons"] == decision.reasons


def test_what_would_change_it_leads_to_approval(engine: Engine, explained: Any) -> None:
    count = 0
    for application, explanation in explained:
        for way in explanation["what_would_change_it"]["ways"]:
            changed = application | {c["field"]: c["to"] for c in way["changes"]}
            decision = engine.decide(changed)
            assert decision.decision == way["decision"] == "approve"
            assert decision.default_probability == way["default_probability"]
            count += 1
    assert count > 10


def test_what_would_change_it_keeps_bounds_and_directions(engine: Engine, explained: Any) -> None:
    for application, explanation in explained:
        for change in (
            c for w in explanation["what_would_change_it"]["ways"] for c in w["changes"]
        ):
            field = engine.contract.fields[change["field"]]
            bounds = field.constraints
            assert application[field.name] == change["from"] != change["to"]
            assert field.actionable
            assert (change["to"] > change["from"]) or field.actionable != "increase"
            assert (change["to"] < change["from"]) or field.actionable != "decrease"
            assert bounds.minimum <= change["to"] <= bounds.maximum
            assert field.type != "integer" or isinstance(change["to"], int)


def test_what_would_change_it_is_named_in_steps(engine: Engine, explained: Any) -> None:
    for _, explanation in explained:
        for change in (
            c for w in explanation["what_would_change_it"]["ways"] for c in w["changes"]
        ):
            assert change["to"] % engine.contract.fields[change["field"]].step == 0


def test_an_approved_application_needs_no_change(explained: Any) -> None:
    approved = [explanation for _, explanation in explained if explanation["decision"] == "approve"]
    assert approved
    for explanation in approved:
        statement = "The application is approved as it stands."
        assert explanation["what_would_change_it"] == {
            "statement": statement,
            "proved": True,
            "ways": [],
        }


def test_where_no_change_helps_it_is_said_plainly(engine: Engine) -> None:
    hopeless = engine.policy.model_copy(update={"cut_off": 1e-9})
    strict = Engine(engine.model, hopeless, engine.identity)
    advice = explain(strict, engine.golden[0]["application"])["what_would_change_it"]
    assert advice["ways"] == []
    assert advice["statement"].startswith("No change of Loan amount, Tenure, Yearly income")


def test_where_nothing_is_in_the_applicants_hands_it_is_said_plainly(any_engine: Engine) -> None:
    hopeless = any_engine.policy.model_copy(update={"cut_off": 1e-9})
    strict = Engine(any_engine.model, hopeless, any_engine.identity)
    advice = explain(strict, any_engine.golden[0]["application"])["what_would_change_it"]
    assert advice == {
        "statement": "There is nothing that the applicant could change.",
        "proved": True,
        "ways": [],
    }


def test_two_fields_are_tried_where_one_does_not_suffice(engine: Engine) -> None:
    ways = [
        way
        for each in draw(engine.applications, 150, seed=6)
        for way in explain(engine, each)["what_would_change_it"]["ways"]
    ]
    pairs = [way for way in ways if len(way["changes"]) == 2]
    assert pairs
    for way in pairs:
        assert way["changes"][0]["field"] != way["changes"][1]["field"]
