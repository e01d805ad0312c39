"""Expressions of any allowed form: what they compute, what they refuse, and where they say it."""

from __future__ import annotations

import contextlib
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.contract.expressions.general import Condition, Formula, parse_rule, read_rule
from stages.contract.expressions.simple import Rule
from stages.contract.expressions.syntax import DEEPEST, LONGEST, parse
from stages.contract.fields.field import Field
from stages.contract.fields.written_values import days_of

FIELDS: dict[str, Field | None] = {
    "a": Field(name="a", type="number"),
    "b": Field(name="b", type="number"),
    "insured": Field(name="insured", type="boolean", trueValues=["Y"]),
    "grade": Field(
        name="grade", type="string", constraints={"enum": ["A", "B", "C"]}, ordered=True
    ),
    "home": Field(name="home", type="string", constraints={"enum": ["own", "rent"]}),
    "opened": Field(name="opened", type="date"),
    "decided": Field(name="decided", type="date"),
    "note": Field(name="note", type="string", feature=False),
    "ratio": None,
}
NAN = math.nan


def value(source: str, empty: float = NAN, **columns: float) -> float:
    """The value of a formula for one row."""
    arrays = {name: np.array([number], dtype=float) for name, number in columns.items()}
    return float(Formula.read(source, FIELDS).values(arrays, empty)[0])


def truth(source: str, **columns: float) -> bool | None:
    """Whether a condition holds for one row; None where it cannot be told."""
    rule = Condition.parse(source).encode(FIELDS)
    arrays = {name: np.array([number], dtype=float) for name, number in columns.items()}
    return bool(rule.holds(arrays)[0]) if rule.has_values(arrays)[0] else None


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("a + b * 2", 14),
        ("(a - b) / 2", -0.5),
        ("-a ** 2", -16),
        ("2 ** -a", 0.0625),
        ("log(a / 4) + sqrt(a) + abs(-b)", 7),
        ("min(a, b, 3) + max(a, b)", 8),
        ("where(a < b, 1, 2)", 1),
        ("where(missing(a), 1, a)", 4),
        ("(a > 1) + (b > 1)", 2),
        ("1 < a < 5", 1),
        ("a in (1, 4) and not b == 4", 1),
    ],
)
def test_a_formula_computes_what_it_says(source: str, result: float) -> None:
    assert value(source, a=4, b=5) == result


@pytest.mark.parametrize("source", ["1 / a", "log(a)", "b / a + 1", "a ** -1", "sqrt(a - 1)"])
def test_a_formula_without_a_value_has_the_one_for_empty(source: str) -> None:
    assert value(source, empty=7, a=0, b=1) == 7
    assert math.isnan(value(source, a=0, b=1))


def test_a_missing_value_is_missing_even_where_there_is_one_for_empty() -> None:
    assert math.isnan(value("a / b", empty=7, a=NAN, b=0))
    assert math.isnan(value("a ** b", empty=7, a=NAN, b=0))


def test_the_branch_that_is_not_taken_may_be_missing() -> None:
    assert value("where(missing(b), a, a / b)", a=4, b=NAN) == 4


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("a > 1 and b > 1", None),
        ("a > 9 and b > 1", False),
        ("a > 1 or b > 1", True),
        ("not b > 1", None),
        ("a != b", None),
        ("missing(b)", True),
    ],
)
def test_a_condition_that_hangs_on_a_missing_value_cannot_be_told(
    source: str, result: bool | None
) -> None:
    assert truth(source, a=4, b=NAN) is result


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("grade >= 'B'", True),
        ("'B' <= grade", True),
        ("grade in ('A', 'C')", False),
        ("grade not in ['A', 'C'] and home != 'own'", True),
        ("insured == 'Y'", True),
        ("insured and home == 'rent'", True),
        ("opened < '2020-01-01'", True),
        ("opened < decided", True),
    ],
)
def test_categories_booleans_and_dates_are_compared_by_their_values(
    source: str, result: bool
) -> None:
    opened, decided = days_of("2019-06-30"), days_of("2024-02-29")
    columns = {"grade": 1, "home": 1, "insured": 1, "opened": opened, "decided": decided}
    assert truth(source, **columns) is result


@pytest.mark.parametrize(
    ("start", "end", "days", "months", "years"),
    [
        ("2019-01-31", "2019-02-28", 28, 0, 0),
        ("2019-01-31", "2019-03-31", 59, 2, 0),
        ("2020-02-29", "2024-02-28", 1460, 47, 3),
        ("2020-02-29", "2024-02-29", 1461, 48, 4),
        ("1969-12-31", "1970-01-01", 1, 0, 0),
        ("2024-03-15", "2024-01-16", -59, -1, 0),
        ("2024-03-15", "2024-01-15", -60, -2, 0),
    ],
)
def test_the_time_between_dates_is_counted_in_whole_days_months_and_years(
    start: str, end: str, days: int, months: int, years: int
) -> None:
    at = {"opened": days_of(start), "decided": days_of(end)}
    counted = [value(f"{unit}_between(opened, decided)", **at) for unit in ("days", "months")]
    assert [*counted, value("years_between(opened, decided)", **at)] == [days, months, years]


@pytest.mark.parametrize(
    ("source", "problem", "at"),
    [
        ("a.real", "Attribute", "'a.real', at character 1"),
        ("a + b.__class__", "Attribute", "'b.__class__', at character 5"),
        ("__import__('os')", "a function is one of abs", "'__import__', at character 1"),
        ("(lambda: 1)()", "a function is one of", "at character"),
        ("[x for x in (1, 2)]", "ListComp", "at character 1"),
        ("a if b else 1", "IfExp", "at character 1"),
        ("a[0]", "Subscript", "at character 1"),
        ("a // 2", "the operator FloorDiv", "at character 1"),
        ("a % 2", "the operator Mod", "at character 1"),
        ("a << 2", "the operator LShift", "at character 1"),
        ("a is b", "the operator Is", "at character 1"),
        ("~a", "the operator Invert", "at character 1"),
        ("(a := 1)", "NamedExpr", "at character 2"),
        ("f'{a}'", "JoinedStr", "at character 1"),
        ("max(*a, b)", "Starred", "at character 5"),
        ("max(a, key=b)", r"max\(\) takes 2 to 20 values", "at character 1"),
        ("where(a > 1, 2)", r"where\(\) takes 3 values", "at character 1"),
        ("a + 1j", "a constant is a finite number", "'1j', at character 5"),
        ("a + 1e999", "a constant is a finite number", "'1e999', at character 5"),
        (f"a + 1{'0' * 400}", "a constant is a finite number", "at character 5"),
        ("a + None", "a constant is a finite number", "at character 5"),
        ("a + b'x'", "a constant is a finite number", "at character 5"),
        ("a in b", r"`in` needs a list such as \('A', 'B'\)", "'b', at character 6"),
        ("1 < a in (1, 2)", "`in` stands alone", "at character 1"),
        ("a +* b", "cannot be read at character", "'a \\+\\* b'"),
        ("a; b", "cannot be read at character", ""),
        ("", "cannot be read", ""),
        ("a\x00", "cannot be read", ""),
    ],
)
def test_what_is_not_on_the_list_is_refused_with_its_place(
    source: str, problem: str, at: str
) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        parse(source)
    assert re.search(at, str(refused.value))


@pytest.mark.parametrize(
    "source",
    [
        "a" + " + a" * LONGEST,
        "(" * (DEEPEST + 200) + "a" + ")" * (DEEPEST + 200),
        "-" * (DEEPEST + 1) + "a",
        "not " * 200 + "insured",
        "a" + " ** a" * (DEEPEST + 1),
        "abs(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1),
    ],
)
def test_an_expression_that_is_too_long_or_too_deep_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"at most|cannot be read"):
        parse(source)


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert {*Formula.read(text, FIELDS).fields} <= FIELDS.keys()


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("a + c", "no field of this name may be read; these are a, b"),
        ("a + home", "a number or a truth is needed, not a category: 'home', at character 5"),
        ("decided - opened", r"between two dates is days_between\(FROM, TO\)"),
        ("a + 'text'", "needed, not a text"),
        ("days_between(a, opened)", "a date is needed, not a number"),
        ("where(a, 1, 2)", "compare it, as in `x > 0`"),
        ("home < 'rent'", "home has no order"),
        ("home == 'Rent'", "home must be one of own, rent; got 'Rent'"),
        ("home == a", "a category is compared with one of its values"),
        ("grade in ('A', a)", "the values of a list are constants"),
        ("opened < '31.12.2019'", "a date is written YYYY-MM-DD"),
        ("opened < 5", "a date is compared with a date"),
        ("note == 'x'", r"a text can be read where it has `constraints: \{enum"),
        ("missing(a + b)", r"missing\(\) asks about one field"),
        ("1 + 2", "reads one field at least"),
    ],
)
def test_an_operation_on_the_wrong_types_is_refused(source: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Formula.read(source, FIELDS)


def test_a_rule_that_is_no_truth_and_a_formula_that_is_no_number_are_refused() -> None:
    with pytest.raises(ValueError, match="a rule is true or false, not a number"):
        read_rule("a + b", FIELDS)
    with pytest.raises(ValueError, match="a formula gives a number, not a date"):
        Formula.read("opened", FIELDS)


def test_a_comparison_of_two_sides_stays_a_rule_whose_turning_point_is_known() -> None:
    assert isinstance(parse_rule("a <= 2 * b"), Rule)
    assert isinstance(parse_rule("a <= 2 * b and a > 0"), Condition)
    assert isinstance(read_rule("opened <= decided", FIELDS), Condition)


NUMBERS: Any = st.floats(-1e9, 1e9) | st.sampled_from([0.0, NAN, 1.0, -1.0])
SOURCES = [
    "log(abs(a) + 1) * b",
    "abs(a) ** 0.37 - b ** 3",
    "sqrt(abs(a)) / b",
    "where(a > b, a / b, log(b))",
    "min(a, b) + max(a, b, 1) ** 2",
]


@pytest.mark.parametrize("source", SOURCES)
@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=70))
@settings(max_examples=40)
def test_one_row_has_the_bits_that_it_has_among_many(
    source: str, rows: list[tuple[float, float]]
) -> None:
    formula, matrix = Formula.read(source, FIELDS), np.array(rows)
    columns = {"a": matrix[:, 0], "b": matrix[:, 1]}  # not contiguous, as features are
    many = formula.values(columns, 5.0)
    copies = {name: np.ascontiguousarray(column) for name, column in columns.items()}
    np.testing.assert_array_equal(many.view(np.int64), formula.values(copies, 5.0).view(np.int64))
    alone = [formula.values({"a": a[None], "b": b[None]}, 5.0)[0] for a, b in matrix]
    np.testing.assert_array_equal(many.view(np.int64), np.array(alone).view(np.int64))
