"""Quality: every rule of a contract, held against dirty rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.contract.raw.cleaning import clean
from stages.contract.raw.outcomes import drop_indeterminate, drop_unripe
from stages.contract.raw.quality import QualityError, Report
from stages.contract.schema import Contract, ContractError
from tests.support.books import CONTRACT, book, contract


def joined(rows: int = 20) -> pd.DataFrame:
    """Raw text of the small book, one row a loan."""
    tables = book(rows)
    return tables["loans"].merge(tables["people"], on="person")


def cleaned(
    changes: dict[str, dict[int, Any]], source: str = CONTRACT, rows: int = 20
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Clean rows of which some values are changed; the valid ones and the report."""
    raw = joined(rows)
    for column, values in changes.items():
        for row, value in values.items():
            raw.loc[row, column] = value
    return of(raw, contract(source))


def of(raw: pd.DataFrame, parsed: Contract) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The valid rows of raw ones, and the report."""
    report = Report(rows_in=len(raw))
    valid = clean(parsed, raw, report)
    return valid, report.summary(len(valid))


def test_clean_rows_pass_whole() -> None:
    valid, report = cleaned({})
    assert len(valid) == 20
    assert (report["invalid"], report["invalid_share"]) == ({}, 0)


def test_rows_have_the_types_of_the_contract() -> None:
    valid, _ = cleaned({"months": {0: ""}, "insured": {0: "Y", 1: "N", 2: ""}})
    assert valid["amount"].dtype == valid["months"].dtype == np.float64
    assert np.isnan(valid["months"][0])
    assert valid["insured"].tolist()[:3] == [True, False, None]
    assert set(valid["branch"]) <= {10, 20, 30}
    assert valid["_date"].dtype == "datetime64[s]"


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("amount", "much", "amount: not a number"),
        ("amount", "inf", "amount: not a number"),
        ("amount", "99", "amount: minimum (100)"),
        ("amount", "50001", "amount: maximum (50000)"),
        ("amount", "", "amount: missing"),
        ("amount", "NA", "amount: missing"),
        ("months", "12.5", "months: not an integer"),
        ("purpose", "boat", "purpose: unknown value (allowed: car, home, other)"),
        ("purpose", "", "purpose: missing"),
        ("branch", "40", "branch: unknown value (allowed: 10, 20, 30)"),
        ("insured", "maybe", "insured: unknown value (allowed: false, true, N, Y)"),
        ("closed", "31.12.2024", "closed: not a date (allowed: YYYY-MM-DD)"),
        ("granted", "2020-13-01", "granted: not a date (allowed: YYYY-MM-DD)"),
        ("granted", "", "granted: not a date (allowed: YYYY-MM-DD)"),
        ("arrears", "1e9", "arrears: pace (More in arrears than twice the loan)"),
        (
            "outcome",
            "open",
            "outcome: unknown outcome (allowed: ['defaulted', 'repaid', 'sold'])",
        ),
    ],
)
def test_a_row_that_breaks_a_rule_is_dropped_and_told_with_its_value(
    column: str, value: str, rule: str
) -> None:
    valid, report = cleaned({"arrears": {3: "0"}, column: {3: value}})
    assert 3 not in valid.index
    assert report["invalid"] == {rule: {"rows": 1, "example": {"row": 3, "value": value}}}
    assert (report["rows_in"], report["rows_out"], report["invalid_share"]) == (20, 19, 0.05)


def test_rules_are_counted_each_and_told_from_the_most_frequent_with_the_first_row() -> None:
    valid, report = cleaned({"amount": {2: "1", 4: "2"}, "months": {4: "999", 5: "a", 7: "b"}})
    broken = [(r["rows"], r["example"]["row"]) for r in report["invalid"].values()]
    assert broken == [(2, 2), (2, 5), (1, 4)]
    assert set(range(20)) - set(valid.index) == {2, 4, 5, 7}


@pytest.mark.parametrize("value", ["", " ", "NA", "NaN", "null", "None", "-9", "-9.0", None])
def test_missing_codes_are_missing_and_not_invalid(value: str | None) -> None:
    valid, report = cleaned({"months": {3: value}})
    assert np.isnan(valid["months"][3])
    assert report["invalid"] == {}


def test_a_missing_code_of_one_field_is_a_value_of_another() -> None:
    _, report = cleaned({"income": {3: "-9"}})
    assert list(report["invalid"]) == ["income: minimum (0)"]


def meant(codes: str, changes: dict[int, Any], required: str = "") -> tuple[Any, Any]:
    """The cleaned column `months` with meanings of its missing codes, and the report."""
    source = CONTRACT.replace("missingValues: [-9]", f"missingValues: {codes}")
    source = source.replace("minimum: 1, maximum: 120", f"minimum: 1, maximum: 120{required}")
    return cleaned({"months": changes}, source)


def test_a_missing_code_keeps_its_meaning_beside_the_field() -> None:
    codes = "{-7: no account, -9: no record, 0: ''}"
    valid, report = meant(codes, {1: "-9", 2: "-7.0", 3: "", 4: "0", 5: "12"})
    assert np.isnan(valid["months"][[1, 2, 3, 4]]).all()
    assert valid["months__missing"][[1, 2, 3, 4, 5]].tolist() == [2, 1, 0, 0, 0]
    assert valid["months__missing"].dtype == np.int8
    assert report["invalid"] == {}


def test_a_code_with_a_meaning_satisfies_a_required_field_and_a_blank_does_not() -> None:
    filled = dict.fromkeys(range(20), "6")
    changes = filled | {1: "-9", 2: "", 3: "-5"}
    _, report = meant("{-9: no record, -5: ''}", changes, ", required: true")
    assert report["invalid"]["months: missing"]["rows"] == 2


def test_a_field_whose_missing_codes_have_no_meaning_has_no_column_beside_it() -> None:
    assert "months__missing" not in cleaned({})[0]


def test_a_category_may_be_called_as_a_blank_is() -> None:
    source = CONTRACT.replace("[F, M]", "[F, M, None]").replace("enum: [car,", "enum: ['NA', car,")
    valid, report = cleaned({"purpose": {3: "NA"}, "sex": {4: "None"}}, source)
    assert (valid["purpose"][3], valid["sex"][4]) == ("NA", "None")
    assert report["invalid"] == {}


def test_bounds_are_themselves_allowed() -> None:
    assert cleaned({"amount": {1: "100", 2: "50000"}, "arrears": {1: "200"}})[1]["invalid"] == {}


def test_values_are_read_without_the_blanks_around_them() -> None:
    valid, _ = cleaned({"purpose": {1: " home "}, "months": {1: " 7 "}})
    assert (valid["purpose"][1], valid["months"][1]) == ("home", 7)


def test_repairs_are_made_and_counted() -> None:
    valid, report = cleaned({"purpose": {1: "hoem", 5: "hoem"}})
    assert valid["purpose"][5] == "home"
    assert report["repaired"]["purpose"] == {"hoem → home": 2}
    assert report["invalid"] == {}


def test_a_repair_to_nothing_is_a_missing_value() -> None:
    source = CONTRACT.replace("missingValues: [-9]", "repair: {999: ''}")
    valid, report = cleaned({"months": {2: "999"}}, source)
    assert np.isnan(valid["months"][2])
    assert report["repaired"]["months"] == {"999 → ": 1}


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        ("branch", "20.0", 20),
        ("insured", "True", True),
        ("insured", "FALSE", False),
        ("insured", "1", True),
        ("insured", "1.0", True),
    ],
)
def test_codes_may_be_written_as_other_programs_write_them(
    column: str, value: str, stored: Any
) -> None:
    valid, report = cleaned({column: {3: value}})
    assert valid[column][3] == stored
    assert report["invalid"] == {}


def test_a_stated_ratio_is_compared_with_its_formula_and_counted() -> None:
    valid, report = cleaned({"stated": {1: "99", 2: "-1", 3: "?"}})
    note = "differs from amount / income by more than 0.01, derived anew"
    assert report["repaired"]["stated"] == {note: 2}
    assert "stated" not in valid


def test_a_stated_ratio_over_zero_is_not_held_against_the_row() -> None:
    _, report = cleaned({"income": {1: "0"}, "stated": {1: "5"}})
    assert list(report["repaired"]["stated"].values()) == [0]


def test_a_rule_between_fields_holds_where_a_side_is_missing() -> None:
    assert cleaned({"arrears": {1: ""}})[1]["invalid"] == {}


def test_a_rule_may_read_a_boolean() -> None:
    rule = CONTRACT.replace("rule: arrears <= 2 * amount", "rule: arrears <= 100000 * insured")
    _, report = cleaned({"insured": {1: "N", 2: "Y"}, "arrears": {1: "5", 2: "5"}}, rule)
    assert report["invalid"]["arrears: pace (More in arrears than twice the loan)"]["rows"] >= 1


def test_money_at_risk_below_0_is_invalid_and_a_missing_one_is_not() -> None:
    source = CONTRACT.replace("date: granted", "date: granted\nexposure: income")
    source = source.replace("constraints: {minimum: 0, maximum: 1000000}", "missingValues: [-9]")
    changes = {"income": {3: "-5", 4: "0", 5: "", 6: "-9"}}
    valid, report = cleaned(changes, source)
    assert [*report["invalid"]] == ["income: negative (the money at risk is 0 or more)"]
    example = next(iter(report["invalid"].values()))["example"]
    assert example == {"row": 3, "value": "-5"}
    assert len(valid) == 19


@pytest.mark.parametrize(
    ("bad", "good", "words"),
    [
        ("1", "0", {"1": 1, "0": 0, "1.0": 1, " 0 ": 0}),
        ("2", "1", {"2": 1, "1": 0}),
        ("'yes'", "'no'", {"yes": 1, "no": 0}),
        ("true", "false", {"true": 1, "false": 0}),
        ("yes", "no", {"yes": 1, "no": 0, "Yes": 1, "NO": 0}),
        ("[bad, worse]", "[good]", {"bad": 1, "worse": 1, "good": 0}),
    ],
)
def test_targets_are_coded_as_the_contract_says(bad: str, good: str, words: dict[str, int]) -> None:
    source = CONTRACT.replace("bad: [defaulted, sold], good: repaid", f"bad: {bad}, good: {good}")
    raw = joined(40)
    raw["outcome"] = [list(words)[i % len(words)] for i in range(40)]
    valid, report = of(raw, contract(source))
    assert valid["_bad"].tolist() == [words[word] for word in raw["outcome"]]
    assert report["invalid"] == {}


@pytest.mark.parametrize(
    ("good", "words"),
    [
        ("false", {"True": 1, "False": 0}),
        ("false", {"TRUE": 1, "0": 0, "1.0": 1}),
        ("[false, part]", {"True": 1, "part": 0}),
    ],
)
def test_a_boolean_target_has_any_spelling_of_a_boolean(good: str, words: dict[str, int]) -> None:
    target = f"bad: true, good: {good}"
    source = CONTRACT.replace("bad: [defaulted, sold], good: repaid", target)
    raw = joined(40)
    raw["outcome"] = [list(words)[i % len(words)] for i in range(40)]
    expected = [words[word] for word in raw["outcome"]]
    valid, report = of(raw, contract(source))
    assert valid["_bad"].tolist() == expected
    assert report["invalid"] == {}


def windowed(until: str, changes: dict[str, dict[int, str]]) -> tuple[pd.DataFrame, Report]:
    """Loans of 2020-01-31 with a window of one month, cleaned, and the report."""
    outcome = f"outcome: {{months: 1, observed_until: {until}, event: hit}}\ndate: granted"
    source, report = contract(CONTRACT.replace("date: granted", outcome)), Report()
    raw = joined(20).assign(granted="2020-01-31", hit="2020-02-01", seen="2020-02-29")
    for column, cells in changes.items():
        for row, value in cells.items():
            raw.loc[row, column] = value
    return clean(source, drop_unripe(source, raw, report), report), report


def test_a_window_ends_with_the_last_day_of_a_shorter_month() -> None:
    assert len(windowed("2020-02-29", {})[0]) == 20
    with pytest.raises(ContractError, match=r"no loan has had 1 months by 2020-02-28; .*02-29"):
        windowed("2020-02-28", {})


def test_each_loan_may_have_a_day_of_its_own_until_which_it_was_observed() -> None:
    valid, report = windowed("seen", {"seen": {2: "2020-02-28", 5: ""}})
    assert report.unripe == 2
    assert not {2, 5} & {*valid.index}


def test_a_default_after_the_window_counts_as_good_and_one_without_a_date_is_invalid() -> None:
    outcome = dict.fromkeys(range(10), "sold") | dict.fromkeys(range(10, 20), "repaid")
    hit = {0: "2020-02-29", 1: "2020-03-01", 2: "", 3: "2020-01-30", 12: ""}
    valid, report = windowed("2020-12-31", {"outcome": outcome, "hit": hit})
    assert valid.loc[[0, 1, 4, 12], "_bad"].tolist() == [1, 0, 1, 0]
    assert report.late_defaults == 1
    assert {name: rule["rows"] for name, rule in report.rules.items()} == {
        "hit: bad without the date of the default": 1,
        "hit: default before the loan's date": 1,
    }


@pytest.mark.parametrize(
    ("bad", "good", "kind"), [(1, 0, np.int64), (1, 0, float), (True, False, bool)]
)
def test_targets_may_have_the_types_of_a_parquet_file(bad: Any, good: Any, kind: Any) -> None:
    words = f"bad: {str(bad).lower()}, good: {str(good).lower()}"
    raw = joined()
    outcome = (raw["outcome"] != "repaid").astype(kind)
    raw["outcome"] = outcome
    valid, _ = of(raw, contract(CONTRACT.replace("bad: [defaulted, sold], good: repaid", words)))
    np.testing.assert_array_equal(valid["_bad"], outcome.astype(int))


def test_columns_may_have_the_types_of_a_parquet_file() -> None:
    text = joined()
    typed = text.assign(
        amount=text["amount"].astype(float),
        months=pd.to_numeric(text["months"]).astype("Int64"),
        insured=text["insured"] == "Y",
        branch=text["branch"].astype(np.int32),
        purpose=text["purpose"].astype("category"),
        granted=pd.to_datetime(text["granted"]),
        closed=pd.to_datetime(text["closed"]).dt.tz_localize("UTC"),
    )
    pd.testing.assert_frame_equal(of(typed, contract())[0], of(text, contract())[0])


def test_a_column_without_any_value_is_an_error_that_names_it() -> None:
    changes = {"income": dict.fromkeys(range(20), "")}
    with pytest.raises(ContractError, match=r"people\.income: every one of its 20 values is miss"):
        cleaned(changes)


def test_a_column_that_is_no_feature_may_be_empty() -> None:
    assert len(cleaned({"closed": dict.fromkeys(range(20), "")})[0]) == 20


def test_a_target_of_one_class_is_an_error_that_names_what_came() -> None:
    changes = {"outcome": dict.fromkeys(range(20), "repaid")}
    words = r"loans\.outcome: needs both \['defaulted', 'sold'\] \(bad\) and 'repaid' \(good\)"
    with pytest.raises(ContractError, match=words + r"; got \['repaid'\]"):
        cleaned(changes)


def test_too_many_invalid_rows_stop_with_a_table_of_rules() -> None:
    report = Report(rows_in=1000)
    report.note("amount: minimum (100)", 40, 7, "99")
    report.note("purpose: unknown value", 1200, 3, "boat")
    with pytest.raises(QualityError) as caught:
        report.check(800, 0.05)
    assert str(caught.value).split("\n") == [
        "20.0% of 1,000 rows are invalid; preprocess.max_invalid allows 5.0%",
        "      rows  rule",
        "     1,200  purpose: unknown value  (row 3: 'boat')",
        "        40  amount: minimum (100)  (row 7: '99')",
    ]


def test_as_many_invalid_rows_as_allowed_do_not_stop() -> None:
    Report(rows_in=100).check(95, 0.05)


def running() -> Contract:
    """The small contract, with loans that are still running."""
    target = "target: {field: outcome, bad: [defaulted, sold], good: repaid"
    return contract(CONTRACT.replace(target, f"{target}, indeterminate: [running]"))


def test_loans_without_an_outcome_yet_take_no_part_and_are_not_invalid() -> None:
    raw = pd.DataFrame({"outcome": ["repaid", "running", "sold", "running"]})
    report = Report()
    kept = drop_indeterminate(running(), raw, report)
    assert kept["outcome"].tolist() == ["repaid", "sold"]
    assert (report.summary(2)["indeterminate"], report.summary(2)["invalid_share"]) == (2, 0.0)


def test_a_book_without_any_outcome_yet_is_an_error_that_names_the_target() -> None:
    words = r"loans\.outcome: all 3 rows are indeterminate \(\['running'\]\)"
    with pytest.raises(ContractError, match=words):
        drop_indeterminate(running(), pd.DataFrame({"outcome": ["running"] * 3}), Report())
