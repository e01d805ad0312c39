"""Drafting: an unknown loan book runs from its files alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.contract import command
from stages.contract import reading as contracts
from stages.contract.draft.columns.column import scalar
from stages.contract.draft.drafting import DraftedContract, Wishes, draft_contract
from stages.contract.fields.written_values import text
from stages.contract.raw.quality import Report
from stages.contract.raw.tables import read_valid
from stages.contract.schema import Contract, ContractError
from tests.support import unknown_books
from tests.support.books import ROOT, Project

REAL = ROOT.parent / "shared" / "data"
Make = Callable[[Path], list[Path]]
BOOKS = {
    "RiskPerformance": unknown_books.bureau_scores,
    "class": unknown_books.coded_categories,
    "loan_status": unknown_books.two_tables,
}
Drafted = dict[str, tuple[Contract, DraftedContract]]


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> Drafted:
    guesses = {}
    for target, make in BOOKS.items():
        written = draft_contract(make(tmp_path_factory.mktemp("book")), Wishes(target))
        guesses[target] = contracts.read(written.text), written
    return guesses


@pytest.fixture(scope="module")
def heloc(drafted: Drafted) -> Contract:
    return drafted["RiskPerformance"][0]


@pytest.fixture(scope="module")
def german(drafted: Drafted) -> Contract:
    return drafted["class"][0]


@pytest.fixture(scope="module")
def club(drafted: Drafted) -> Contract:
    return drafted["loan_status"][0]


@pytest.mark.parametrize(("target", "make"), BOOKS.items())
def test_an_unknown_book_runs_from_its_files_alone(
    target: str, make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Project(tmp_path)
    (project.data / "contract.yaml").unlink()
    (project.data / "raw").mkdir()
    paths = make(project.data / "raw")
    assert command.command(["draft", *map(str, paths), "--target", target]) == 0
    project.run("preprocess", "featurize", "logistic")
    assert project.artifact("logistic").exists()
    assert f"Written to {project.data / 'contract.yaml'}" in capsys.readouterr().out


def drafts(folder: Path, target: str, date: str | None = None, **columns: object) -> Contract:
    """The draft of one CSV."""
    pd.DataFrame(columns).to_csv(folder / "loans.csv", index=False)
    return contracts.read(draft_contract([folder / "loans.csv"], Wishes(target, date)).text)


def test_codes_for_not_known_are_missing_values(heloc: Contract) -> None:
    assert heloc.fields["ExternalRiskEstimate"].missing_values == [-9]
    assert sorted(map(str, heloc.fields["MSinceOldestTradeOpen"].missing_values)) == [
        "-7", "-8", "-9",
    ]  # fmt: skip
    assert heloc.fields["MSinceOldestTradeOpen"].constraints.minimum == 0


def test_only_what_is_never_missing_is_required(heloc: Contract) -> None:
    required = {f.name for f in heloc.fields.values() if f.constraints.required}
    assert required == {"NumSatisfactoryTrades"}


def test_the_file_with_the_target_has_a_row_a_loan(club: Contract) -> None:
    assert list(club.tables) == ["loans", "members"]
    assert club.tables["loans"].key == "id"
    assert (club.tables["members"].key, club.tables["members"].join) == ("member_id", "member_id")


def test_coded_categories_keep_their_codes(german: Contract) -> None:
    assert german.fields["checking status"].constraints.enum == ["A11", "A12", "A13", "A14"]
    assert german.fields["housing_code"].constraints.enum == [1, 2, 3]


def test_quantities_of_few_values_are_no_categories(german: Contract) -> None:
    assert german.fields["duration"].constraints.enum is None


def test_typos_are_repaired(german: Contract) -> None:
    assert german.fields["purpose"].repair == {"furnitrue": "furniture"}
    assert german.fields["purpose"].constraints.enum == ["business", "car", "furniture", "radio"]


def test_words_for_missing_are_no_categories(german: Contract) -> None:
    savings = german.fields["savings"]
    assert (savings.constraints.enum, savings.missing_values) == (["A61", "A62"], ["?"])


def test_protected_attributes_are_marked_by_their_names(german: Contract, club: Contract) -> None:
    assert [f.name for f in german.protected_fields] == [
        "personal_status_sex",
        "age",
        "foreign worker",
    ]
    assert [f.name for f in club.protected_fields] == ["birth_date", "gender"]


def test_an_index_is_left_out_and_names_the_loan(german: Contract) -> None:
    assert german.tables["german"].key == "Unnamed: 0"
    assert "Unnamed: 0" not in german.fields


def test_constants_and_words_without_end_are_no_features(
    german: Contract, club: Contract, drafted: Drafted
) -> None:
    assert not german.fields["country"].feature
    assert not club.fields["zip_code"].feature
    assert "description" not in club.fields
    assert "country: no feature: constant: 'DE' throughout" in drafted["class"][1].confirm


def test_the_date_of_the_decision_splits_and_later_dates_are_outcomes(club: Contract) -> None:
    assert club.date == "issue_date"
    assert club.fields["last_pymnt_date"].known_at == "outcome"


def test_types_of_parquet_files_are_kept(club: Contract) -> None:
    types = {name: f.type for name, f in club.fields.items()}
    assert types["verified"] == "boolean"
    assert types["loan_amount"] == types["annual_inc"] == "number"
    assert types["birth_date"] == "date"
    assert club.fields["term"].constraints.enum == ["36 months", "60 months"]


def test_a_leak_is_marked_with_its_iv_and_the_summary_says_how_to_undo_it(
    drafted: Drafted,
) -> None:
    contract, written = drafted["loan_status"]
    assert contract.fields["recoveries"].known_at == "outcome"
    mark = r"    known_at: outcome   # suspected leak: .*IV \d+\.\d\d — confirm"
    assert re.search(r"  recoveries:\n(?:    .*\n)*" + mark, written.text)
    note = next(line for line in written.confirm if line.startswith("recoveries: suspected leak"))
    assert "remove its line `known_at: outcome`" in note


def test_what_was_marked_as_a_leak_is_a_feature_once_its_mark_is_removed(drafted: Drafted) -> None:
    text = re.sub(r"    known_at: outcome .*IV.*\n", "", drafted["loan_status"][1].text)
    names = [f.name for f in contracts.read(text).inputs("application")]
    assert "recoveries" in names


def test_a_book_is_left_at_least_one_feature(tmp_path: Path) -> None:
    y, x = [1, 0, 0, 0, 1, 0, 0, 0] * 50, [90, 10, 20, 90, 90, 12, 22, 32] * 50
    contract = drafts(tmp_path, "bad", bad=y, x=x)
    assert [f.name for f in contract.inputs("application")] == ["x"]
    written = draft_contract([tmp_path / "loans.csv"], Wishes("bad"))
    assert "    # known_at: outcome   # suspected leak: IV" in written.text
    assert any("x: suspected leak (IV" in line and "not marked" in line for line in written.confirm)


def test_a_strong_field_stays_a_feature_until_a_person_says_that_it_leaks(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    bad = rng.random(3_000) < 0.2
    debt = np.where(rng.random(3_000) < np.where(bad, 0.5, 0.05), np.nan, rng.normal(34, 8, 3_000))
    columns = {"bad": bad.astype(int), "debt": debt.round(1), "years": rng.integers(0, 30, 3_000)}
    assert drafts(tmp_path, "bad", **columns).fields["debt"].known_at == "application"
    notes = draft_contract([tmp_path / "loans.csv"], Wishes("bad")).confirm
    line = next(line for line in notes if line.startswith("debt: suspected leak (IV"))
    assert re.search(r"68\.8% are bad where it is missing, 13\.0% else\), not marked", line)


def test_lists_in_parquet_files_are_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"bad": [1, 0, 0] * 50, "x": [1, 2, 3, 4, 5] * 30, "l": [[1, 2]] * 150})
    frame.to_parquet(tmp_path / "loans.parquet")
    written = draft_contract([tmp_path / "loans.parquet"], Wishes("bad"))
    assert "l: left out: lists or structures, no plain values" in written.confirm


def test_a_grade_is_known_in_pricing_only(club: Contract) -> None:
    assert club.fields["grade"].known_at == "pricing"


def test_directions_of_risk_are_comments_only(drafted: Drafted) -> None:
    contract, written = drafted["RiskPerformance"]
    assert all(f.risk is None for f in contract.fields.values())
    assert "# risk: decreasing   # confirm: the bad rate is" in written.text


def test_advice_would_name_two_digits_of_the_usual_value(club: Contract) -> None:
    steps = {f.name: (f.example, f.step) for f in club.fields.values() if f.is_numeric}
    assert steps
    for example, step in steps.values():
        assert step is None or 10 * step <= abs(example) < 100 * step or step == 1


def test_a_near_copy_of_the_target_is_reported(tmp_path: Path) -> None:
    status = ["late", "done", "done", "done"] * 100
    drafts(tmp_path, "default", default=[1, 0, 0, 0] * 100, state=status, x=range(400))
    text = draft_contract([tmp_path / "loans.csv"], Wishes("default")).text
    assert "known_at: outcome   # suspected leak: near-copy of the target, IV" in text


def test_a_date_may_be_named_and_others_are_explained(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=400)
    columns = {"bad": [1, 0, 0, 0] * 100, "x": [1, 2, 3, 4, 5] * 80, "seen": days}
    assert drafts(tmp_path, "bad", "seen", **columns).date == "seen"
    with pytest.raises(ContractError, match=r"--date must be a date of 'loans'; got 'x'.*'seen'"):
        drafts(tmp_path, "bad", "x", **columns)


@pytest.mark.parametrize("name", ["kunde_seit", "geburtsdatum", "signup", "moved_in"])
def test_a_date_over_many_years_is_not_the_split_date_unless_asked(
    tmp_path: Path, name: str
) -> None:
    days = pd.date_range("1999-01-01", periods=400, freq="20D")
    columns: dict[str, object] = {"bad": [1, 0, 0, 0] * 100, "amount": [*range(100)] * 4}
    columns[name] = days
    assert drafts(tmp_path, "bad", **columns).date is None
    said = draft_contract([tmp_path / "loans.csv"], Wishes("bad")).text
    assert f"{name} spans 22 years, longer than most books" in said
    assert drafts(tmp_path, "bad", name, **columns).date == name
    assert drafts(tmp_path, "bad", granted=columns.pop(name), **columns).date == "granted"


def test_a_date_after_the_decision_is_not_the_split_date(tmp_path: Path) -> None:
    columns: dict[str, object] = {"bad": [1, 0, 0, 0] * 100, "amount": [*range(100)] * 4}
    days = pd.date_range("2020-01-01", periods=400)
    assert drafts(tmp_path, "bad", **columns, last_payment_date=days).date is None


@pytest.mark.parametrize(
    "name", ["account_opened", "date_opened", "earliest_cr_line", "CustomerSince", "first_account"]
)
def test_the_day_an_account_was_opened_is_never_the_split_date(tmp_path: Path, name: str) -> None:
    opened = pd.date_range("1999-01-01", periods=400, freq="7D")
    columns = {"bad": [1, 0, 0, 0] * 100, "x": [1, 2, 3, 4, 5] * 80, name: opened}
    assert drafts(tmp_path, "bad", **columns).date is None
    notes = " ".join(draft_contract([tmp_path / "loans.csv"], Wishes("bad")).confirm)
    assert f"{name} is of the applicant's history; --date names another" in notes
    assert drafts(tmp_path, "bad", name, **columns).date == name
    granted = pd.date_range("2020-01-01", periods=400)
    assert drafts(tmp_path, "bad", **columns, granted=granted).date == "granted"


def customers(rows: int, each: int) -> dict[str, object]:
    """Loans of which each customer has the same number."""
    rng = np.random.default_rng(1)
    ids = [f"C{n:05d}" for n in rng.permutation(np.arange(rows) // each)]
    return {
        "loan_id": [f"L{n:05d}" for n in range(rows)],
        "cust_id": ids,
        "branch_id": rng.integers(1, 100, rows),
        "bad": rng.integers(0, 2, rows),
        "x": rng.integers(1, 9, rows),
    }


def test_a_customer_of_several_loans_is_the_entity(tmp_path: Path) -> None:
    contract = drafts(tmp_path, "bad", **customers(800, each=4))
    assert contract.entity == "cust_id"
    notes = draft_contract([tmp_path / "loans.csv"], Wishes("bad")).confirm
    assert any(line.startswith("entity: cust_id (100.0% of the loans are of") for line in notes)
    assert not any(line.startswith("cust_id: left out") for line in notes)


def test_a_customer_of_one_loan_and_a_branch_are_no_entity(tmp_path: Path) -> None:
    assert drafts(tmp_path, "bad", **customers(800, each=1)).entity is None


def test_the_customer_by_whom_a_table_is_joined_is_the_entity(club: Contract) -> None:
    assert club.entity == "member_id"


def defaulted(rows: int = 2000) -> dict[str, object]:
    """Four years of loans, and the day on which each of the bad ones went bad."""
    rng = np.random.default_rng(2)
    granted = np.datetime64("2020-01-01") + np.sort(rng.integers(0, 1461, rows))
    went = granted + rng.integers(1, 366, rows)
    bad = (rng.random(rows) < 0.15) & (went <= np.datetime64("2024-01-01"))
    written = np.where(bad, np.datetime_as_string(went), "")
    return {
        "granted": granted,
        "default_date": written,
        "x": rng.integers(1, 99, rows),
        "bad": bad.astype(int),
    }


def test_the_date_of_the_default_proposes_an_outcome_window(tmp_path: Path) -> None:
    columns = defaulted()
    assert drafts(tmp_path, "bad", **columns).outcome is None
    written = draft_contract([tmp_path / "loans.csv"], Wishes("bad"))
    note = next(line for line in written.confirm if line.startswith("outcome: "))
    assert "default_date is filled for the bad loans alone" in note
    assert "the bad rate falls from" in note
    taken = contracts.read(written.text.replace("# outcome: ", "outcome: "))
    assert taken.outcome is not None
    assert (taken.outcome.months, taken.outcome.event) == (12, "default_date")
    assert str(taken.outcome.last_day) >= max(columns["default_date"])


def test_a_ripe_book_is_proposed_no_outcome_window(club: Contract, drafted: Drafted) -> None:
    assert "outcome: {" not in drafted["loan_status"][1].text
    assert not any(line.startswith("outcome") for line in drafted["loan_status"][1].confirm)


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%y%m%d"])
def test_the_pattern_of_a_date_is_drafted_and_the_split_follows_it(
    form: str, tmp_path: Path
) -> None:
    days = pd.date_range("2020-01-01", periods=400)
    columns = {"bad": [1, 0, 0, 0] * 100, "x": [1, 2, 3, 4, 5] * 80}
    drafted = drafts(tmp_path, "bad", issue_date=days.strftime(form), **columns)
    assert drafted.date == "issue_date"
    assert drafted.fields["issue_date"].format == form


def test_a_day_that_may_be_a_month_is_a_doubt(tmp_path: Path) -> None:
    days = [f"{i % 12 + 1:02}/{i % 11 + 1:02}/2020" for i in range(400)]
    pd.DataFrame({"bad": [1, 0, 0, 0] * 100, "issue_date": days}).to_csv(
        tmp_path / "loans.csv", index=False
    )
    notes = draft_contract([tmp_path / "loans.csv"], Wishes("bad")).confirm
    assert "issue_date: '01/01/2020' may be %d/%m/%Y or %m/%d/%Y" in notes


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (["1.234,50", "17,25", "12.345.678,00"], {"decimal_char": ",", "group_char": "."}),
        (["$1,234", "$17", "$12,345,678"], {"group_char": ",", "bare_number": False}),
        (["12.5%", "0.25%", "7%"], {"bare_number": False}),
        (["1 234", "17", "12 345 678"], {"group_char": " "}),
        (["0,25", "17,5", "3"], {"decimal_char": ","}),
        (["12,34,567", "1,234", "99"], {"group_char": ","}),
    ],
)
def test_numbers_are_drafted_as_files_write_them(
    words: list[str], written: dict[str, str | bool], tmp_path: Path
) -> None:
    field = drafts(tmp_path, "bad", bad=[1, 0, 0, 0] * 75, x=words * 100).fields["x"]
    plain = {"decimal_char": ".", "group_char": "", "bare_number": True}
    assert field.is_numeric
    assert {key: getattr(field, key) for key in plain} == plain | written


def test_terms_that_are_few_words_stay_categories(tmp_path: Path) -> None:
    field = drafts(tmp_path, "bad", bad=[1, 0, 0, 0] * 75, x=["36 months", "60 months"] * 150)
    assert field.fields["x"].constraints.enum == ["36 months", "60 months"]


def test_frequent_words_are_categories_and_all_others_one(tmp_path: Path) -> None:
    words = [("cook", "clerk", "driver")[i % 3] if i % 4 else f"Trade {i}" for i in range(600)]
    field = drafts(tmp_path, "bad", bad=[1, 0, 0, 0] * 150, trade=words).fields["trade"]
    assert field.constraints.enum == ["clerk", "cook", "driver", "other"]
    assert field.other == "other"
    notes = draft_contract([tmp_path / "loans.csv"], Wishes("bad")).confirm
    assert "trade: 3 words hold 75% of the rows; 150 others are one category" in notes


def test_columns_of_one_name_are_named_after_their_table(tmp_path: Path) -> None:
    loans = {
        "id": [f"L{i}" for i in range(300)],
        "amount": [*range(30)] * 10,
        "bad": [1, 0, 0] * 100,
    }
    pd.DataFrame(loans).to_csv(tmp_path / "loans.csv", index=False)
    people = {"id": loans["id"], "amount": [*range(30, 60)] * 10}
    pd.DataFrame(people).to_csv(tmp_path / "people.csv", index=False)
    paths = [tmp_path / "loans.csv", tmp_path / "people.csv"]
    drafted = contracts.read(draft_contract(paths, Wishes("bad")).text)
    assert drafted.fields["people_amount"].source == "amount"
    assert drafted.fields["people_amount"].table == "people"


@pytest.mark.parametrize(
    ("options", "encoding"),
    [
        ({"sep": ";"}, "utf-8"),
        ({"sep": "\t"}, "utf-8"),
        ({"sep": "|"}, "cp1252"),
        ({"sep": "\t"}, "utf-16"),
        ({"sep": ";"}, "utf-16-le"),
        ({"sep": " ", "header": False}, "utf-16-be"),
        ({"sep": " ", "header": False}, "utf-8"),
    ],
)
def test_a_text_file_is_drafted_as_it_is_written(
    options: dict[str, Any], encoding: str, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    home = ["Müller", "eigen", "Miete"] * 100
    rows = pd.DataFrame({"home": home, "amount": range(300), "bad": [1, 0, 0] * 100})
    rows.to_csv(raw / "loans.asc", index=False, encoding=encoding, **options)
    target = "field3" if options.get("header") is False else "bad"
    drafted = contracts.read(draft_contract([raw / "loans.asc"], Wishes(target)).text)
    valid = read_valid(drafted, raw, Report(), 0)
    assert len(valid) == 300
    assert sorted(valid.iloc[:, 0].unique()) == ["Miete", "Müller", "eigen"]
    assert drafted.tables["loans"].encoding == encoding


@pytest.mark.parametrize(
    ("bad", "good", "name"),
    [
        (1, 0, "default"),
        (0, 1, "fully_paid"),
        (1, 0, "not.fully.paid"),
        ("yes", "no", "SeriousDlqin2yrs"),
        ("no", "yes", "repaid"),
        ("Bad", "Good", "class"),
        (2, 1, "class"),
        (True, False, "TARGET"),
        ("Charged Off", "Fully Paid", "status"),
        ("Defaulted", "Current", "status"),
        ("non-performing", "performing", "state"),
        ("1.0", "0.0", "y"),
        ("N", "Y", "loan_status_ok"),
    ],
)
def test_targets_of_any_coding_are_read(
    tmp_path: Path, bad: object, good: object, name: str
) -> None:
    few = name not in ("default", "SeriousDlqin2yrs", "status")
    y = [bad, good, good] * 50 if few else [bad, bad, good] * 50
    codes = drafts(tmp_path, name, **{name: y, "x": [1, 2, 3, 4, 5, 6] * 25}).target.codes
    written = [text(scalar(str(w))) for w in (bad, good)]
    assert [codes[w] for w in written] == [1, 0]


def test_outcomes_that_are_not_known_yet_are_neither(tmp_path: Path) -> None:
    y = ["Charged Off", "Late (31-120 days)", "Fully Paid", "Current", "Fully Paid", ""] * 50
    contract = drafts(tmp_path, "status", status=y, x=[1, 2, 3, 4, 5] * 60)
    assert contract.target.bad == ["Charged Off", "Late (31-120 days)"]
    assert contract.target.good == "Fully Paid"
    notes = draft_contract([tmp_path / "loans.csv"], Wishes("status")).confirm
    assert any("neither: 'Current' (16.7%); these loans take no part" in line for line in notes)
    assert "target: 16.7% of the rows are blank and count as invalid" in notes


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a,b\n1,2\n", "--target must be a column of the files; got 'y' (loans has a, b)"),
        ("a,Y1\n1,2\n", "got 'y' (loans has a, Y1)"),
        ("a,yy\n1,2\n", "got 'y' (loans has a, yy); did you mean 'yy'?"),
        ("a,y\n1,1\n2,1\n", "must have two outcomes"),
        ("a,y\n" + "\n".join(f"1,{i}" for i in range(50)), "'y' has 50 different values"),
        ("a,y\n", "no rows"),
        ("y,id\n" + "\n".join(f"{i % 2},{i}" for i in range(50)), "no column is left for a field"),
        ("", "the file is empty"),
    ],
)
def test_a_book_that_cannot_be_drafted_is_an_error_in_words(
    content: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loans.csv").write_text(content)
    assert command.command(["draft", str(tmp_path / "loans.csv"), "--target", "y"]) == 1
    assert problem in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loans.csv").write_text("a,y\n1,1\n")
    for name, message in (
        ("loan.csv", f"{tmp_path} holds ['loans.csv']; did you mean 'loans.csv'?"),
        ("", f"{tmp_path} is a folder; name its files, such as {tmp_path}/*.csv"),
        ("away/loans.csv", f"{tmp_path}/away holds no files"),
    ):
        assert command.command(["draft", str(tmp_path / name), "--target", "y"]) == 1
        assert message in capsys.readouterr().err


def test_a_wrong_date_is_named_with_the_nearest(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=400)
    with pytest.raises(ContractError, match=r"got 'granted_at': .*; did you mean 'granted_on'"):
        drafts(tmp_path, "bad", "granted_at", bad=[1, 0] * 200, x=range(400), granted_on=days)


def test_a_table_that_cannot_be_joined_is_left_out_and_reported(tmp_path: Path) -> None:
    y = pd.DataFrame({"loan_id": range(300), "cust_id": range(300), "x": [1, 2, 3] * 100})
    y.assign(bad=[1, 0, 0] * 100).to_csv(tmp_path / "loans.csv", index=False)
    paid = pd.DataFrame({"cust_id": [*range(150)] * 4, "paid": range(600)})
    paid.to_csv(tmp_path / "payments.csv", index=False)
    half = pd.DataFrame({"cust_id": range(150), "score": range(150)})
    half.to_csv(tmp_path / "scores.csv", index=False)
    names = ("loans", "payments", "scores")
    written = draft_contract([tmp_path / f"{n}.csv" for n in names], Wishes("bad"))
    assert list(contracts.read(written.text).tables) == ["loans"]
    notes = " ".join(written.confirm)
    assert "payments is left out: 'cust_id' repeats in it; declare it under `history`" in notes
    assert "50% of the loans have a row" in notes


@pytest.mark.parametrize(("second", "joined"), [(1, True), (2, False)])
def test_a_table_is_joined_only_where_equal_keys_have_equal_rows(
    tmp_path: Path, second: int, joined: bool
) -> None:
    y = pd.DataFrame({"loan_id": range(300), "cust_id": range(300), "x": [1, 2] * 150})
    y.assign(bad=[1, 0, 0] * 100).to_csv(tmp_path / "loans.csv", index=False)
    scores = pd.DataFrame({"cust_id": [*range(300), 7], "score": [1] * 300 + [second]})
    scores.to_csv(tmp_path / "scores.csv", index=False)
    written = draft_contract([tmp_path / "loans.csv", tmp_path / "scores.csv"], Wishes("bad"))
    assert ("scores" in contracts.read(written.text).tables) is joined
    notes = " ".join(written.confirm)
    assert ("scores is left out: 'cust_id' repeats in it" in notes) is not joined


def test_a_contract_that_is_there_is_kept_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = unknown_books.bureau_scores(tmp_path)
    out = tmp_path / "contract.yaml"
    out.write_text("mine")
    call = ["draft", str(path), "--target", "RiskPerformance", "--out", str(out)]
    assert command.command(call) == 1
    assert out.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert command.command([*call, "--force"]) == 0
    assert f"Then copy {path} to {tmp_path / 'raw'}/." in capsys.readouterr().out
    assert contracts.read(out.read_text()).target.bad == "Bad"


@pytest.mark.parametrize(
    ("out", "message"),
    [(".", "is a folder; --out names a file"), ("a.csv/c.yaml", "cannot be written: .*; --out")],
)
def test_a_place_that_cannot_be_written_is_named(
    out: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = unknown_books.bureau_scores(tmp_path)
    path.rename(tmp_path / "a.csv")
    place = tmp_path / out
    call = ["draft", str(tmp_path / "a.csv"), "--target", "RiskPerformance", "--out", str(place)]
    assert command.command([*call, "--force"]) == 1
    assert re.search(f"{place} {message}", capsys.readouterr().err)


def test_without_a_place_the_contract_is_printed_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = unknown_books.bureau_scores(tmp_path)
    assert command.command(["draft", str(path), "--target", "RiskPerformance"]) == 0
    printed = capsys.readouterr()
    assert contracts.read(printed.out).target.bad == "Bad"
    assert "To confirm:" in printed.err


@pytest.mark.parametrize("verb", [[], ["draft"], ["check"]])
def test_every_command_has_help(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.command([*verb, "--help"])
    assert caught.value.code == 0
    assert "usage: python -m stages.contract" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("dataset", "target"), [("loan_book", "default"), ("loan_applications", "loan_status")]
)
def test_a_real_book_drafts_into_a_contract_that_runs_and_agrees_with_the_shipped_one(
    dataset: str, target: str, tmp_path: Path
) -> None:
    if not (REAL / dataset).exists():
        pytest.skip(f"the real files are not at {REAL / dataset}")
    project = Project(tmp_path, preprocess__max_invalid=0.01)
    shutil.copytree(REAL / dataset, project.data / "raw")
    paths = sorted((project.data / "raw").glob("*.csv"))
    call = ["draft", *map(str, paths), "--target", target, "--force"]
    assert command.command(call) == 0
    project.run("preprocess", "featurize")
    contract = contracts.load("small", tmp_path / "data")
    shipped = contracts.load(dataset, ROOT / "data")
    assert contract.date == shipped.date
    assert contract.target == shipped.target
    for name, field in shipped.fields.items():
        assert contract.fields[name].type == field.type
        assert contract.fields[name].constraints.enum == field.constraints.enum
        assert contract.fields[name].protected == field.protected


def test_features_have_words_for_what_may_count_against_an_applicant(
    heloc: Contract, german: Contract
) -> None:
    drafted = german.fields["housing_code"].reason
    assert drafted.categories == {n: f"Housing code: {n}" for n in (1, 2, 3)}
    risky = heloc.fields["ExternalRiskEstimate"].reason
    assert (risky.high, risky.low.endswith(": lower than is usual")) == ("", True)
    assert german.fields["age"].reason.high == ""
