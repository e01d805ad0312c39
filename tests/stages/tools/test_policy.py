"""Policy: cut-offs from profit, hard rules, points and ratings."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.contract.schema import ContractError
from stages.policy.decisions import DECISIONS, Policy
from tests.support import books

BASE: dict[str, Any] = {
    "margin": 0.08,
    "loss_given_default": 0.52,
    "cut_off": "profit",
    "refer_band": 0.25,
    "rules": [],
    "pdo": 20,
    "base_score": 600,
    "base_odds": 30,
    "ratings": {"A": 0.01, "B": 0.06, "C": 1.0},
}
OLD = {"rule": "age > 70", "decision": "refer", "reason": "Ask in person"}
POOR = {"rule": "income < 1000", "decision": "decline", "reason": "No income"}
pds = st.floats(1e-6, 1 - 1e-6)


def policy(**changes: Any) -> Policy:
    return Policy.model_validate(BASE | changes)


def decided(present: Policy, pd: float, **facts: float) -> str:
    columns = {name: np.array([value]) for name, value in facts.items()}
    return DECISIONS[present.decide(np.array([pd]), columns)[0]]


def profit_at(present: Policy, pd: float) -> float:
    return (1 - pd) * present.margin - pd * present.loss_given_default


@given(st.floats(0.001, 1), st.floats(0.01, 1))
def test_a_loan_at_the_break_even_pd_earns_nothing(margin: float, loss: float) -> None:
    present = policy(margin=margin, loss_given_default=loss)
    assert present.break_even == pytest.approx(margin / (margin + loss))
    assert profit_at(present, present.break_even) == pytest.approx(0, abs=1e-12)
    assert (
        profit_at(present, present.break_even * 0.99)
        > 0
        > profit_at(present, present.break_even * 1.01)
    )


def test_the_cut_off_is_the_break_even_pd_or_a_number() -> None:
    assert policy().pd_cut_off == pytest.approx(0.08 / 0.60)
    assert policy(cut_off=0.2).pd_cut_off == 0.2


@pytest.mark.parametrize(
    ("pd", "decision"),
    [
        (0.149, "approve"),
        (0.1501, "refer"),
        (0.2, "refer"),
        (0.249, "refer"),
        (0.25, "decline"),
        (1.0, "decline"),
    ],
)
def test_a_pd_within_the_band_is_referred(pd: float, decision: str) -> None:
    assert decided(policy(cut_off=0.2), pd) == decision


def test_without_a_band_nothing_is_referred() -> None:
    present = policy(cut_off=0.2, refer_band=0)
    assert [decided(present, pd) for pd in (0.19999, 0.2)] == ["approve", "decline"]


def test_a_cut_off_near_one_declines_from_certain_default_at_most() -> None:
    assert policy(cut_off=0.9).decline_from == 1.0


@given(pds, st.floats(0, 100), st.floats(0, 5000))
def test_hard_rules_only_make_a_decision_stricter(pd: float, age: float, income: float) -> None:
    ruled, free = policy(rules=[OLD, POOR]), policy()
    place = DECISIONS.index
    decision = decided(ruled, pd, age=age, income=income)
    assert place(decision) >= place(decided(free, pd))
    floor = "decline" if income < 1000 else "refer" if age > 70 else "approve"
    assert place(decision) == max(place(decided(free, pd)), place(floor))


def test_a_rule_on_a_missing_field_does_not_apply() -> None:
    assert decided(policy(rules=[POOR]), 0.01, income=math.nan) == "approve"


def test_the_rules_that_an_application_runs_into_are_reported() -> None:
    present = policy(rules=[OLD, POOR])
    columns = {"age": np.array([80.0]), "income": np.array([5000.0])}
    assert [rule.reason for rule in present.broken_rules(columns)] == ["Ask in person"]


def test_a_rule_on_an_unknown_field_names_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"policy\.rules: 'age > 70' names 'age'; known are inc"):
        decided(policy(rules=[OLD]), 0.1, income=1.0)


def test_many_applications_are_decided_as_each_alone() -> None:
    present, rng = policy(rules=[OLD]), np.random.default_rng(0)
    pd, age = rng.random(200), rng.uniform(60, 80, 200)
    each = [decided(present, p, age=a) for p, a in zip(pd, age, strict=True)]
    assert [DECISIONS[i] for i in present.decide(pd, {"age": age})] == each


def test_the_base_odds_have_the_base_score() -> None:
    assert policy().score(1 / 31) == pytest.approx(600)


@given(st.floats(0.01, 200), st.floats(1, 100))
def test_doubling_the_odds_adds_pdo_points(odds: float, pdo: float) -> None:
    present = policy(pdo=pdo)
    once, twice = present.score(1 / (1 + odds)), present.score(1 / (1 + 2 * odds))
    assert twice - once == pytest.approx(pdo, rel=1e-6)


@given(pds, pds)
def test_a_higher_pd_never_has_a_higher_score_nor_a_better_rating(one: float, two: float) -> None:
    present, ratings = policy(), [*BASE["ratings"]]
    low, high = sorted((one, two))
    assert present.score(low) >= present.score(high)
    assert ratings.index(present.rating(low)) <= ratings.index(present.rating(high))


@pytest.mark.parametrize(
    ("pd", "rating"), [(0, "A"), (0.00999, "A"), (0.01, "B"), (0.06, "C"), (1.0, "C")]
)
def test_a_rating_ends_below_its_bound(pd: float, rating: str) -> None:
    assert policy().rating(pd) == rating


def test_scores_of_many_are_the_scores_of_each() -> None:
    pd = np.linspace(0.001, 0.999, 50)
    np.testing.assert_allclose(policy().score(pd), [policy().score(p) for p in pd])


def test_profit_is_earned_on_approved_goods_and_lost_on_approved_bads() -> None:
    bad, approved = np.array([0, 0, 1, 1]), np.array([True, False, True, False])
    assert policy().profit(bad, approved) == pytest.approx((0.08 - 0.52) / 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratings": {"A": 0.5, "B": 0.2, "C": 1.0}}, r"must rise, and end at 1\.0"),
        ({"ratings": {"A": 0.5}}, r"must rise, and end at 1\.0"),
        ({"ratings": {}}, r"must rise, and end at 1\.0"),
        ({"rules": [OLD | {"rule": "age is 70"}]}, "the operator Is"),
        ({"rules": [OLD | {"decision": "approve"}]}, "'refer' or 'decline'"),
        ({"rules": [OLD | {"reason": " "}]}, "reason"),
        ({"cut_off": 1.5}, "less than or equal to 1"),
        ({"cut_off": "best"}, "'profit'"),
        ({"margin": 0}, "greater than 0"),
        ({"refer_band": 1}, "less than 1"),
        ({"bonus": 1}, "Extra inputs"),
        ({"override_limit": {"field": "amount"}}, "Field required"),
        ({"override_limit": {"field": "amount", "above": float("nan")}}, "finite number"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        policy(**changes)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("sex == F", "sex is not a field that a rule may read"),
        ("arrears > 1", "arrears is not a field that a rule may read"),
        ("purpose == castle", "purpose must be one of car, home, other; got 'castle'"),
        ("purpose < home", "purpose has no order"),
        ("amount > cheap", "cheap is not a field that a rule may read"),
        ("amount > 2 * purpose", "must be numbers to be compared"),
        ("months == -9", "months: -9 stands for a missing value, which no rule compares"),
    ],
)
def test_a_rule_that_no_model_can_read_ends_the_first_stage(
    rule: str, words: str, tmp_path: Path
) -> None:
    rules = [{"rule": rule, "decision": "refer", "reason": "x"}]
    project = books.Project(tmp_path, policy__rules=rules).write(books.book())
    with pytest.raises(ContractError, match=re.escape(words)) as raised:
        project.run("preprocess")
    assert "params.yaml: policy.rules" in str(raised.value)


@pytest.mark.parametrize("field", ["sex", "purpose", "loan_to_income", "none"])
def test_an_override_limit_is_about_a_number_of_the_application(field: str) -> None:
    with pytest.raises(ContractError, match=r"override_limit\.field must be one of amount, .*got"):
        policy(override_limit={"field": field, "above": 1}).of(books.contract(), "application")


def test_an_override_limit_holds_above_its_number_and_where_there_is_none() -> None:
    limit = policy(override_limit={"field": "amount", "above": 1000}).override_limit
    assert limit
    exceeded = [limit.is_exceeded(one) for one in ({"amount": 1000}, {"amount": 1001}, {})]
    assert exceeded == [False, True, True]


def test_a_policy_without_an_override_limit_keeps_its_identity() -> None:
    assert "override_limit" not in policy().in_full
    limited = policy(override_limit={"field": "amount", "above": 5})
    assert limited.in_full["override_limit"] == {"field": "amount", "above": 5.0}


def test_a_rule_names_the_category_that_it_means() -> None:
    contract = books.contract()
    purpose = np.array([0.0, 1.0, 2.0, np.nan])
    for rule in ("purpose == home", "purpose == 'home'"):
        rules = [{"rule": rule, "decision": "decline", "reason": "No"}]
        present = policy(rules=rules).of(contract, "application")
        decisions = present.decide(np.full(4, 0.001), {"purpose": purpose})
        assert [DECISIONS[d] for d in decisions] == ["approve", "decline", "approve", "approve"]
        assert present.model_dump() == policy(rules=rules).model_dump()
        assert present.of(contract, "application").decide(np.full(4, 0.001), {"purpose": purpose})[
            1
        ]


def test_a_rule_on_a_category_decides_in_every_stage(tmp_path: Path) -> None:
    rules = [{"rule": "purpose == other", "decision": "decline", "reason": "No"}]
    project = books.Project(tmp_path, candidates=["logistic"], policy__rules=rules)
    project.write(books.book()).run("preprocess", "featurize", "logistic", "evaluate")
    predictions = pd.read_parquet(tmp_path / "models" / "predictions.parquet").set_index("row")
    test = project.split("test").set_index("_row")
    other = test.index[test["purpose"] == "other"]
    assert len(other)
    assert (predictions.loc[other, "decision"] == "decline").all()
