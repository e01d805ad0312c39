"""Profiling: what a raw column holds, and what its name tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.contract.draft import leakage
from stages.contract.draft.columns import column_names, profile, quantities
from stages.contract.draft.columns.column import Column, Guess


def guessed(values: list[Any], name: str = "x", times: int = 1) -> Guess:
    return profile.guess(Column.of(name, pd.Series(values * times)))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["1", "2", "30"], "integer"),
        (["1.5", "2", "30"], "number"),
        (["12.0", "7.0", ""], "number"),
        (["1e3", "2.5e-1", "7"], "number"),
        ([-5, 0, 5], "integer"),
        ([1.5, None, 2.0], "number"),
        (["true", "false", ""], "boolean"),
        (["Yes", "no", "YES"], "boolean"),
        (["Y", "N"], "boolean"),
        (["0", "1"], "boolean"),
        (["1.0", "0.0", "NA"], "boolean"),
        ([True, False, None], "boolean"),
        (["a", "b"], "string"),
        (["0", "1", "2", "3+"], "string"),
        (["01", "02", "11"], "string"),
        (["2020-01-31", "2021-12-01"], "date"),
        (["2020-01-31T10:00:00Z", "2021-12-01T11:30:00+02:00"], "date"),
        (["20200131", "20211201"], "date"),
        (["2019", "2020", "2021"], "integer"),
        ([pd.Timestamp("2020-01-31"), pd.NaT], "date"),
    ],
)
def test_types_are_told_from_the_values(words: list[Any], kind: str) -> None:
    assert guessed(words, times=20).type == kind


@pytest.mark.parametrize("name", ["number_of_defaults", "delinquency_count"])
def test_counts_that_are_all_0_or_1_are_integers(name: str) -> None:
    assert guessed(["0", "1"], name, times=20).type == "integer"


def test_words_for_booleans_are_listed_unless_every_contract_knows_them() -> None:
    assert (guessed(["Y", "N"], times=20).true, guessed(["Y", "N"], times=20).false) == (
        ["Y"],
        ["N"],
    )
    assert guessed(["TRUE", "FALSE"], times=20).true == []


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([-9, -8, -7, 1, 2, 3], [-9, -8, -7]),
        ([-99, 5, 6], [-99]),
        ([-1, 0, 12, 36], [-1]),
        ([-1, 0, 1], []),
        ([-2, -1, 0, 1, 2], []),
        ([-9, -3, 4], []),
        ([1, 20, 40, 99, 99, 99], [99]),
        ([1, 20, 98, 99, 99, 99], []),
        ([1, 20, 40, 99], []),
        ([0, 1, 2, 17, 96, 96, 96, 98, 98, 98], [96, 98]),
        ([0, 300, 9999, 9999, 9999], [9999]),
    ],
)
def test_codes_for_not_known_stand_apart(values: list[float], codes: list[float]) -> None:
    distinct, counts = np.unique(np.array(values, dtype=np.float64), return_counts=True)
    assert quantities.find_missing_codes(distinct, counts).tolist() == codes


def test_words_among_numbers_are_missing_values() -> None:
    guess = guessed(["1", "2.5", "3"] * 50 + ["unknown", "?"])
    assert (guess.type, sorted(guess.missing)) == ("number", ["?", "unknown"])


@pytest.mark.parametrize(
    ("low", "high", "percent", "ends"),
    [
        (0, 59, False, (0, 80)),
        (500, 35_000, False, (0, 50_000)),
        (300, 850, False, (100, 1000)),
        (2008, 2019, False, (2000, 2030)),
        (5.4, 23.2, True, (0, 100)),
        (0, 0.83, True, (0, 1)),
        (-250, 70, False, (-300, 100)),
        (0.002, 0.03, False, (0, 0.05)),
        (19, 99, False, (0, 120)),
        (-30, -10, False, (-50, 0)),
    ],
)
def test_bounds_are_round_numbers_around_what_was_seen(
    low: float, high: float, percent: bool, ends: tuple[float, float]
) -> None:
    assert quantities.round_bounds(low, high, percent) == ends


def test_typos_belong_to_what_was_meant() -> None:
    counts = {"Personal": 4000, "Personaal": 4, "personal": 900, "Home": 3000, "Education": 50}
    assert profile.find_typos(counts) == {"Personaal": "Personal", "personal": "Personal"}


def test_rare_codes_and_other_words_are_no_typos() -> None:
    counts = {"A11": 900, "A12": 2, "Secured": 900, "Unsecured": 5, "Male": 900, "Female": 3}
    assert profile.find_typos(counts | {"<1": 5, ">1": 900, "1-2": 900, "12": 5}) == {}


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("abc", "abc", 0), ("abc", "acb", 1), ("abcd", "ab", 2), ("a", "b", 1)]
)
def test_edits_are_counted(a: str, b: str, distance: int) -> None:
    assert profile.edit_distance(a, b) == profile.edit_distance(b, a) == distance


@pytest.mark.parametrize(
    "name",
    ["age", "person_age", "Age_in_years", "Gender", "SEX", "MARRIAGE", "personal_status_sex",
     "race", "CNT_CHILDREN", "ethnicity", "Religion", "date_of_birth", "BirthDate", "is_pregnant",
     "disability_flag", "nationality", "maritalStatus", "foreign worker"],
)  # fmt: skip
def test_protected_attributes_are_known_by_name(name: str) -> None:
    assert column_names.is_protected(name)


@pytest.mark.parametrize(
    "name", ["account_age", "mortgage", "AgeOfOldestTrade", "percentage", "brace", "status", "wage"]
)
def test_other_names_are_not_protected(name: str) -> None:
    assert not column_names.is_protected(name)


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("recoveries", "outcome"),
        ("total_rec_prncp", "outcome"),
        ("principal_outstanding", "outcome"),
        ("last_pymnt_amnt", "outcome"),
        ("chargeoff_date", "outcome"),
        ("months_since_last_payment", "application"),
        ("outstanding_debt", "application"),
        ("chargeoff_within_12_mths", "application"),
        ("int_rate", "pricing"),
        ("loan_grade", "pricing"),
        ("income", "application"),
        ("credit_history", "application"),
        ("interest_rate_of_other_loans", "application"),
    ],
)
def test_when_a_field_is_known_is_guessed_by_name(name: str, when: str) -> None:
    assert column_names.known_at(name) == when


@pytest.mark.parametrize(
    ("name", "title"),
    [("loan_amnt", "Loan amnt"), ("ExternalRiskEstimate", "External risk estimate"), ("%", "%")],
)
def test_titles_are_made_from_names(name: str, title: str) -> None:
    assert column_names.title(name) == title


def test_identifiers_are_left_out() -> None:
    assert guessed([f"C{i:04d}" for i in range(300)]).left_out
    assert guessed(list(range(5000, 5300))).left_out
    assert guessed([f"c{i % 90}" for i in range(900)], "cust_id").left_out
    assert not guessed(np.random.default_rng(1).integers(0, 10**6, 300).tolist(), "income").left_out


def test_many_categories_without_a_relation_are_no_leak() -> None:
    rng = np.random.default_rng(1)
    bad = (rng.random(400) < 0.1).astype(float)
    assert leakage.find_leak(rng.integers(0, 40, 400).astype(float), bad, is_category=True) is None


def test_a_field_that_is_missing_for_all_bad_loans_is_a_certain_leak() -> None:
    bad = np.array([1.0, 0.0, 0.0, 0.0] * 100)
    x = np.where(bad == 1, np.nan, np.arange(400.0))
    leak = leakage.find_leak(x, bad, is_category=False)
    assert leak
    assert leak.is_certain


def test_a_direction_holds_through_all_bins() -> None:
    x = np.arange(1000.0)
    bad = (np.random.default_rng(1).random(1000) < x / 1000).astype(float)
    assert leakage.find_direction(x, bad)[0] == "increasing"
    assert leakage.find_direction(-x, bad)[0] == "decreasing"
    assert leakage.find_direction(np.abs(x - 500), bad)[0] == ""
