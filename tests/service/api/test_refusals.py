"""A feed that is refused is counted by field and rule, and noticed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from service.api.refusals import BLOCK, UNKNOWN_FIELD, WHOLE, Refusals, broken_rule, find_rules
from service.api.requests import as_dicts
from service.decision.applications import Applications, InvalidApplication
from stages.contract import reading as contracts

REQUESTS = Applications(contracts.load("loan_book"), "application")
GOOD = REQUESTS.example


def refused(application: Any) -> set[tuple[str, str]]:
    with pytest.raises(InvalidApplication) as caught:
        REQUESTS.check(application)
    return {broken_rule(problem, REQUESTS) for problem in as_dicts(caught.value.problems)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"income": None}, ("income", "missing")),
        ({"income": "much"}, ("income", "type")),
        ({"income": float("nan")}, ("income", "type")),
        ({"income": -1}, ("income", "bounds")),
        ({"age": 30.5}, ("age", "type")),
        ({"age": True}, ("age", "type")),
        ({"age": 500}, ("age", "bounds")),
        ({"loan_purpose": "Rocket"}, ("loan_purpose", "category")),
        ({"loan_purpose": 3}, ("loan_purpose", "category")),
        ({"wage": 1}, (UNKNOWN_FIELD, "unknown")),
    ],
)
def test_problems_are_counted_by_field_and_rule(
    change: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert refused(GOOD | change) == {expected}


def test_a_field_left_out_is_missing() -> None:
    without = {name: value for name, value in GOOD.items() if name != "income"}
    assert refused(without) == {("income", "missing")}


def test_a_body_that_is_no_object_is_counted_for_the_whole_application() -> None:
    assert refused([]) == {(WHOLE, "object")}


def test_a_rule_between_fields_is_a_contradiction() -> None:
    check = next(c for c in contracts.load("loan_book").checks.values() if c.rule in REQUESTS.rules)
    problem = {"field": check.parsed.left, "allowed": check.rule, "got": 1.0}
    assert broken_rule(problem, REQUESTS) == (check.parsed.left, "contradiction")


def after(refused: int, accepted: int) -> list[dict[str, Any]] | None:
    """What is found after so many applications."""
    refusals = Refusals()
    refusals.count_accepted(accepted)
    for _ in range(refused):
        refusals.count_refused([{"field": "income", "allowed": "", "got": None}], REQUESTS)
    return refusals.take_findings()


def test_a_feed_that_is_refused_is_found_and_named() -> None:
    findings = after(refused=BLOCK, accepted=0)
    assert [(f["field"], f["rule"], f["loudness"]) for f in findings or []] == [
        ("income", "missing", "alarm")
    ]


def test_a_tenth_of_a_feed_is_a_warning() -> None:
    findings = after(refused=30, accepted=270)
    assert [f["loudness"] for f in findings or []] == ["warning"]


@pytest.mark.parametrize(("refused", "accepted"), [(0, 100), (2, 98), (20, 980)])
def test_errors_of_a_few_applicants_give_no_finding(refused: int, accepted: int) -> None:
    assert after(refused, accepted) == []


def test_too_few_applications_are_not_judged() -> None:
    assert after(refused=BLOCK - 1, accepted=0) is None


def test_counts_are_reset_after_they_were_judged() -> None:
    refusals = Refusals()
    refusals.count_accepted(BLOCK)
    refusals.take_findings()
    assert refusals.take_findings() is None


def test_the_most_broken_rule_comes_first() -> None:
    counts = Counter({("age", "bounds"): 40, ("income", "type"): 90})
    assert [f.field for f in find_rules(100, counts)] == ["income", "age"]
