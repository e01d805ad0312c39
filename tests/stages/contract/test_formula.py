"""The two small languages of the contract: what they read, refuse and compute."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.contract.expressions.simple import Ratio, Rule
from tests.support.books import CONTRACT, contract

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
NUMBERS = st.integers(-1000, 1000) | st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


@pytest.mark.parametrize(
    ("formula", "ratio"),
    [
        ("amount / income", Ratio(1, "amount", "income")),
        (" amount/income ", Ratio(1, "amount", "income")),
        ("100 * late / total", Ratio(100, "late", "total")),
        ("-0.5*late/total", Ratio(-0.5, "late", "total")),
        ("1e-3 * late / total", Ratio(0.001, "late", "total")),
        ("0 * late / total", Ratio(0, "late", "total")),
    ],
)
def test_a_ratio_may_have_a_scale(formula: str, ratio: Ratio) -> None:
    assert Ratio.parse(formula) == ratio


@pytest.mark.parametrize(
    "formula", ["", "amount", "amount / 12", "a / b / c", "a * b", "a + b", "(a) / b", "2 a / b"]
)
def test_a_formula_that_is_no_ratio_is_refused_with_the_form_it_should_have(formula: str) -> None:
    with pytest.raises(ValueError, match=r"\[NUMBER \*\] FIELD / FIELD.*; got ") as caught:
        Ratio.parse(formula)
    assert repr(formula) in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "parsed"),
    [
        ("age >= 18", Rule("age", ">=", 1, None, 18)),
        ("age != -9", Rule("age", "!=", 1, None, -9)),
        ("fee <= loan", Rule("fee", "<=", 1, "loan", 0)),
        ("fee < 0.03 * loan", Rule("fee", "<", 0.03, "loan", 0)),
        ("job <= age - 14", Rule("job", "<=", 1, "age", -14)),
        ("job<=age+2", Rule("job", "<=", 1, "age", 2)),
        ("home == 'own flat'", Rule("home", "==", 1, None, 0, "own flat")),
        ('home != "it\'s"', Rule("home", "!=", 1, None, 0, "it's")),
        ("job == 2 * age - 0.5", Rule("job", "==", 2, "age", -0.5)),
    ],
)
def test_a_rule_compares_a_field_with_a_number_or_a_field(rule: str, parsed: Rule) -> None:
    assert Rule.parse(rule) == parsed


@pytest.mark.parametrize(
    "rule",
    ["", "age", "18 <= age", "a <= b * 2", "a <= b and c > 1", "a = 1", "a <= b - c", "a <=> 1"],
)
def test_any_other_rule_is_refused_with_the_forms_it_may_have(rule: str) -> None:
    with pytest.raises(ValueError, match=r"a rule is 'FIELD OP NUMBER' or .*; got ") as caught:
        Rule.parse(rule)
    assert repr(rule) in str(caught.value)


@given(NAMES, st.sampled_from(["<=", ">=", "==", "!=", "<", ">"]), NUMBERS, NAMES, NUMBERS)
def test_what_is_written_is_what_is_read(
    left: str, compare: str, factor: float, right: str, offset: float
) -> None:
    sign = "-" if offset < 0 else "+"
    rule = Rule.parse(f"{left} {compare} {factor} * {right} {sign} {abs(offset)}")
    assert rule == Rule(left, compare, float(factor), right, float(offset))


def test_a_rule_names_the_fields_it_reads() -> None:
    assert Rule.parse("a <= 2 * b").fields == ("a", "b")
    assert Rule.parse("a <= 2").fields == ("a",)


def test_a_rule_holds_element_by_element() -> None:
    columns = {"job": np.array([3.0, 30.0, 26.0]), "age": np.array([40.0, 40.0, 40.0])}
    assert Rule.parse("job <= age - 14").holds(columns).tolist() == [True, False, True]


def test_a_rule_is_not_known_where_a_side_is_missing() -> None:
    columns = {"a": np.array([np.nan, 1.0, 1.0]), "b": np.array([1.0, np.nan, 2.0])}
    assert Rule.parse("a <= b").has_values(columns).tolist() == [False, False, True]
    assert Rule.parse("a <= 1").has_values(columns).tolist() == [False, True, True]


FIELDS = {"ratio": None} | contract(CONTRACT.replace("home, other]", "home, the rest]")).fields


@pytest.mark.parametrize(
    ("rule", "encoded"),
    [
        ("purpose == home", Rule("purpose", "==", 1, None, 1)),
        ("purpose != 'the rest'", Rule("purpose", "!=", 1, None, 2)),
        ("grade >= B", Rule("grade", ">=", 1, None, 1)),
        ("branch == 30", Rule("branch", "==", 1, None, 2)),
        ("insured == Y", Rule("insured", "==", 1, None, 1)),
        ("insured == false", Rule("insured", "==", 1, None, 0)),
        ("insured == 1", Rule("insured", "==", 1, None, 1)),
        ("sex == F", Rule("sex", "==", 1, None, 0)),
        ("ratio > 0.5", Rule("ratio", ">", 1, None, 0.5)),
        ("ratio < 2 * amount", Rule("ratio", "<", 2, "amount", 0)),
        ("amount > 100", Rule("amount", ">", 1, None, 100)),
        ("amount <= 2 * income", Rule("amount", "<=", 2, "income", 0)),
    ],
)
def test_a_rule_about_a_category_compares_codes(rule: str, encoded: Rule) -> None:
    assert Rule.parse(rule).encode(FIELDS) == encoded


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("purpose == boat", "purpose must be one of car, home, the rest; got 'boat'"),
        ("branch == 15", "branch must be one of 10, 20, 30; got '15'"),
        ("purpose < home", "purpose has no order: compare it by == or !=, not <"),
        ("amount == much", "much is not a field that a rule may read; these are ratio, amount, "),
        ("amount == 'much'", "amount must be compared with a number; got 'much'"),
        ("age < 21", "age is not a field that a rule may read; these are ratio, amount, "),
        ("purpose == grade", "purpose and grade must be numbers to be compared"),
    ],
)
def test_a_rule_that_names_no_field_or_no_category_is_refused_with_what_there_is(
    rule: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        Rule.parse(rule).encode(FIELDS)


def test_a_rule_about_a_category_is_not_known_where_the_category_is_missing() -> None:
    rule = Rule.parse("purpose == home").encode(FIELDS)
    column = {"purpose": np.array([1.0, 0.0, np.nan])}
    assert (rule.holds(column) & rule.has_values(column)).tolist() == [True, False, False]
