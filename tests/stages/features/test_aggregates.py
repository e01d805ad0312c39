"""Aggregates of histories: what each computes, which lines count, and the same bits everywhere."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.contract import reading as contracts
from stages.contract.fields.written_values import days_of
from stages.contract.schema import Contract
from stages.features.aggregates import compute, window_start
from stages.features.lines import as_requests, lines_of_applications
from stages.features.matrix import Features

TEXT = """
tables: {loans: {path: loans.csv, key: loan}}
target: {field: bad, bad: 1, good: 0}
date: granted
history:
  payments:
    path: payments.csv
    key: customer
    join: customer
    date: paid_on
    fields:
      paid_on: {type: date}
      late: {type: integer, constraints: {minimum: 0}, missingValues: [-1]}
      status: {type: string, constraints: {enum: [open, closed]}}
fields:
  amount: {type: number, constraints: {required: true}}
aggregates:
  payments: {of: payments, take: count}
  total: {of: payments, take: sum, field: late}
  average: {of: payments, take: mean, field: late}
  least: {of: payments, take: min, field: late, when_empty: -1}
  most: {of: payments, take: max, field: late, within: 12 months, where: "status == 'open'"}
  first: {of: payments, take: first, field: late}
  last: {of: payments, take: last, field: late}
  share_open: {of: payments, take: share, where: "status == 'open'"}
  kinds: {of: payments, take: distinct, field: status}
  slope: {of: payments, take: trend, field: late}
  since: {of: payments, take: months_since, where: late > 0}
derived:
  late_to_amount: {formula: total / amount}
"""
TEXT = TEXT.replace("  payments: {of", "  number: {of")
CONTRACT = contracts.read(TEXT)
FEATURES = Features(CONTRACT, "application")
DECIDED = "2024-06-30"


def of(lines: list[dict[str, Any]] | None, decided: str = DECIDED) -> dict[str, float]:
    """The features of one application with these lines."""
    application = {"amount": 100.0, "granted": decided, "payments": lines}
    x = FEATURES.matrix(FEATURES.encode_rows([application]))[0]
    return dict(zip(FEATURES.names, x.tolist(), strict=True))


def line(day: str, late: int | None = None, status: str | None = None) -> dict[str, Any]:
    """One line."""
    return {"paid_on": day, "late": late, "status": status}


LINES = [
    line("2024-06-29", 5, "closed"),
    line("2023-06-30", 30, "open"),
    line("2023-06-29", 90, "open"),
    line("2024-01-15", 0, "open"),
    line("2024-02-15", -1, None),
]


def test_each_aggregate_computes_what_it_says() -> None:
    x = of(LINES)
    assert (x["number"], x["total"], x["average"], x["least"]) == (5, 125, 31.25, 0)
    assert (x["most"], x["first"], x["last"]) == (30, 90, 5)
    assert (x["share_open"], x["kinds"], x["since"]) == (0.75, 2, 0)
    assert x["late_to_amount"] == 1.25
    assert of([line("2024-01-30", 0), line("2024-03-31", 61 / 30)])["slope"] == pytest.approx(
        61 / 30 / (61 / (365.2425 / 12))
    )


def test_only_lines_strictly_before_the_day_of_the_decision_count() -> None:
    later = [line(DECIDED, 999, "open"), line("2024-07-01", 999, "open"), line("2030-01-01", 999)]
    assert of(LINES + later) == of(LINES)
    assert of(LINES, "2023-06-30")["number"] == 1


def test_the_day_a_window_begins_on_is_in_it() -> None:
    assert of([line("2023-06-30", 7, "open")])["most"] == 7
    assert np.isnan(of([line("2023-06-29", 7, "open")])["most"])


@pytest.mark.parametrize(
    ("within", "decided", "start"),
    [
        ("90 days", "2024-03-31", "2024-01-01"),
        ("1 month", "2024-03-31", "2024-02-29"),
        ("12 months", "2024-02-29", "2023-02-28"),
        ("2 years", "2024-06-30", "2022-06-30"),
    ],
)
def test_windows_follow_the_calendar(within: str, decided: str, start: str) -> None:
    assert window_start(within, np.array([days_of(decided)])) == days_of(start)


def test_without_lines_a_count_is_zero_and_an_average_missing() -> None:
    x = of([])
    assert (x["number"], x["total"], x["kinds"], x["least"]) == (0, 0, 0, -1)
    for name in ("average", "most", "first", "last", "share_open", "slope", "since"):
        assert np.isnan(x[name])


def test_where_nothing_is_known_of_the_lines_all_is_missing() -> None:
    assert all(np.isnan(v) for name, v in of(None).items() if name != "amount")


def test_lines_in_another_order_and_on_one_day_give_the_same_bits() -> None:
    rng = np.random.default_rng(3)
    lines = [line(f"2024-0{rng.integers(1, 6)}-01", int(v)) for v in rng.integers(0, 99, 40)]
    shuffled = [lines[i] for i in rng.permutation(40)]
    assert str(of(lines)) == str(of(shuffled))


DAYS: Any = st.dates(dt.date(2019, 1, 1), dt.date(2025, 1, 1)).map(str)
LINE = st.builds(
    line, DAYS, st.none() | st.integers(0, 400), st.none() | st.sampled_from(["open", "closed"])
)
APPLICATION = st.fixed_dictionaries(
    {"amount": st.floats(0, 1e6), "granted": DAYS, "payments": st.lists(LINE, max_size=12)}
)


@given(st.lists(APPLICATION, min_size=1, max_size=12))
@settings(max_examples=60)
def test_an_application_has_the_same_bits_alone_and_among_others(
    applications: list[dict[str, Any]],
) -> None:
    together = FEATURES.encode_rows(applications)
    alone = np.vstack([FEATURES.encode_rows([each]) for each in applications])
    np.testing.assert_array_equal(together.view(np.int64), alone.view(np.int64))
    names = ("amount", "granted", "payments")
    columns = {name: [each[name] for each in applications] for name in names}
    np.testing.assert_array_equal(FEATURES.encode(columns), together)


def test_lines_turn_back_into_those_of_a_request() -> None:
    history = CONTRACT.history["payments"]
    lines = lines_of_applications(history, [LINES[:1], [], LINES[1:2]])
    assert as_requests(history, lines) == [LINES[:1], [], LINES[1:2]]


def test_a_million_lines_are_aggregated_as_those_of_one() -> None:
    rng = np.random.default_rng(1)
    lists = [
        [line("2023-01-01", int(v), "open") for v in rng.integers(0, 99, rng.integers(0, 9))]
        for _ in range(500)
    ]
    history = CONTRACT.history["payments"]
    parts = CONTRACT.aggregates_of("payments")
    decided = np.full(500, days_of(DECIDED))
    computed = compute(parts, lines_of_applications(history, lists), decided)
    for i in (0, 17, 499):
        one = compute(parts, lines_of_applications(history, [lists[i]]), decided[:1])
        assert all(str(computed[name][i]) == str(one[name][0]) for name in one)


def refused(old: str, new: str) -> str:
    """What is said of the contract with a change."""
    assert old in TEXT
    with pytest.raises(contracts.ContractError) as error:
        contracts.read(TEXT.replace(old, new, 1))
    return str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("of: payments, take: sum", "of: bills, take: sum", "must be one of `history`"),
        ("take: sum, field: late", "take: sum", "`take: sum` needs a `field`"),
        ("take: sum, field: late", "take: sum, field: status", "must be a number"),
        ("take: sum, field: late", "take: sum, field: lat", "must be one of ['paid_on', 'late'"),
        ("take: count", "take: count, field: late", "leave `field` out"),
        ("share, where: \"status == 'open'\"", "share", "`take: share` needs a rule"),
        ("where: late > 0", "where: amount > 0", "no field of this name"),
        ("where: late > 0", "where: late", "a rule is true or false"),
        ("12 months", "a year", "within"),
        ("take: sum", "take: total", "take"),
        ("date: granted\n", "", "needs `date`"),
        ("date: paid_on", "date: late", "must be a date among its `fields`"),
        ("    key: customer\n", "", "needs `key`"),
        ("  total:", "  amount:", "cannot have the name of a field"),
        ("late: {type: integer,", "late: {type: integer, typ: x,", "unknown key"),
    ],
)
def test_a_wrong_history_is_refused_in_words(old: str, new: str, problem: str) -> None:
    assert problem in refused(old, new)


def test_the_day_of_the_decision_is_a_required_field_of_the_request() -> None:
    day = CONTRACT.fields["granted"]
    assert (day.type, day.constraints.required, day.is_feature) == ("date", True, False)
    assert isinstance(CONTRACT, Contract)
    assert "granted" in [f.name for f in CONTRACT.inputs("application")]
