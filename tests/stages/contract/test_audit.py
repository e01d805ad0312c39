"""Checking: what is wrong with a contract and its files, in words."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages import simulate
from stages.contract import command
from stages.simulation import population
from tests.support.books import CONTRACT, HISTORY, ROOT, Project, book, with_payments

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path).write(book())


def check(*arguments: str) -> int:
    return command.command(["check", *arguments])


def printed(capsys: Capture) -> str:
    out = capsys.readouterr()
    return out.out + out.err


def test_a_sound_book_holds(project: Project, capsys: Capture) -> None:
    assert check("small") == 0
    assert "small: the contract holds" in printed(capsys)


def test_a_book_with_missing_categories_holds(tmp_path: Path, capsys: Capture) -> None:
    contract = (ROOT / "data/loan_book/contract.yaml").read_text()
    tables = simulate.book(population.draw(3000, 3), 3)
    assert tables["customers"]["residence_type"].isna().any()
    project = Project(tmp_path, contract).write(tables)
    with contextlib.chdir(project.folder):
        assert check("small") == 0, printed(capsys)


def test_the_dataset_is_that_of_the_parameters(project: Project, capsys: Capture) -> None:
    assert check() == 0
    assert "small: the contract holds" in printed(capsys)


def test_an_unknown_dataset_is_named_with_those_that_there_are(
    project: Project, capsys: Capture
) -> None:
    assert check("large") == 1
    assert "dataset must be one of ['small']; got 'large'" in printed(capsys)
    assert check("smal") == 1
    assert printed(capsys).endswith(
        "got 'smal' (no data/smal/contract.yaml); did you mean 'small'?\n"
    )


def test_outside_of_the_project_is_told_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert check() == 1
    assert printed(capsys) == "params.yaml not found: run this command in the project's folder\n"


def test_a_wrong_contract_is_told_with_its_place(project: Project, capsys: Capture) -> None:
    (project.data / "contract.yaml").write_text(CONTRACT.replace("type: number", "type: float", 1))
    assert check() == 1
    assert "data/small/contract.yaml:10: fields.amount.type: Input should be" in printed(capsys)


def test_an_outcome_window_without_the_day_of_default_is_to_be_looked_at(
    project: Project, capsys: Capture
) -> None:
    window = "outcome: {months: 6, observed_until: 2022-06-30}\ndate: granted"
    (project.data / "contract.yaml").write_text(CONTRACT.replace("date: granted", window))
    assert check() == 0
    assert "outcome: without `event`" in printed(capsys)
    dated = window.replace("30}", "30, event: closed}")
    (project.data / "contract.yaml").write_text(CONTRACT.replace("date: granted", dated))
    assert check() == 0
    assert "without `event`" not in printed(capsys)


def test_loans_without_an_outcome_yet_are_not_wrong(project: Project, capsys: Capture) -> None:
    target = "bad: [defaulted, sold], good: repaid"
    source = CONTRACT.replace(target, f"{target}, indeterminate: [running]")
    (project.data / "contract.yaml").write_text(source)
    tables = book()
    tables["loans"].loc[::3, "outcome"] = "running"
    project.write(tables)
    assert check() == 0
    assert "unknown outcome" not in printed(capsys)


def test_a_book_whose_loans_find_no_customer_is_reported(project: Project, capsys: Capture) -> None:
    tables = book()
    tables["people"]["person"] = [f"x{i}" for i in range(len(tables["people"]))]
    project.write(tables)
    assert check() == 1
    assert "person: no row in people" in printed(capsys)


def test_an_optional_table_needs_no_column_for_its_flag(project: Project, capsys: Capture) -> None:
    source = CONTRACT.replace("join: person}", "join: person, optional: true}")
    (project.data / "contract.yaml").write_text(source)
    tables = book()
    project.write(tables | {"people": tables["people"].iloc[50:]})
    assert check() == 0
    assert "the contract holds" in printed(capsys)


def test_loans_that_had_no_time_to_go_bad_are_reported(project: Project, capsys: Capture) -> None:
    tables = book(6000)
    granted = pd.to_datetime(tables["loans"]["granted"])
    age = (granted.max() - granted).dt.days
    early = np.random.default_rng(1).integers(1, 366, len(age)) > age
    assert check() == 0
    assert "the bad rate falls" not in printed(capsys)
    tables["loans"]["outcome"] = tables["loans"]["outcome"].mask(early, "repaid")
    project.write(tables)
    assert check() == 0
    words = printed(capsys)
    assert "look at: granted: the bad rate falls from " in words
    assert "say `outcome: {months: 12, observed_until: ...}`" in words


def test_a_window_that_says_loans_were_observed_for_longer_than_they_were_is_reported(
    project: Project, capsys: Capture
) -> None:
    tables = book(6000)
    granted = pd.to_datetime(tables["loans"]["granted"])
    granted = granted + 2 * (granted - granted.min())
    tables["loans"] = tables["loans"].assign(granted=granted.astype(str), closed="2030-01-01")
    age = (granted.max() - granted).dt.days
    early = np.random.default_rng(1).integers(1, 366, len(age)) > age
    tables["loans"]["outcome"] = tables["loans"]["outcome"].mask(early, "repaid")
    project.write(tables)
    for until, warns in (("2031-12-31", True), (str(granted.max().date()), False)):
        window = f"outcome: {{months: 12, observed_until: {until}}}\n"
        (project.data / "contract.yaml").write_text(CONTRACT + window)
        assert check() == 0
        words = f"were loans observed until {until}, and do most that go bad do so within 12 months"
        assert (words in printed(capsys)) is warns


def test_a_joined_table_whose_key_repeats_is_wrong(project: Project, capsys: Capture) -> None:
    tables = book()
    again = tables["people"].head(3).assign(income=1)
    tables["people"] = pd.concat([tables["people"], again])
    project.write(tables)
    assert check() == 1
    words = printed(capsys)
    assert "wrong: " in words
    assert "the key person of the table 'people' must have one row each; 3 keys" in words
    assert "small: preprocess would stop" in words


def test_a_contract_without_files_is_checked_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Project(tmp_path)
    assert check() == 0
    assert "raw is not there: only the contract itself was checked" in printed(capsys)


def test_all_missing_files_and_columns_are_reported(project: Project, capsys: Capture) -> None:
    raw = project.data / "raw"
    (raw / "people.csv").unlink()
    loans = pd.read_csv(raw / "loans.csv").drop(columns=["amount", "granted"])
    loans.to_csv(raw / "loans.csv", index=False)
    assert check() == 1
    words = printed(capsys)
    assert "people.csv: the file is missing; its folder holds ['loans.csv']" in words
    assert "loans.csv: column 'amount' is missing; the file has ['loan', 'person'" in words
    assert "loans.csv: column 'granted' is missing" in words


def test_a_column_or_file_of_another_name_is_told_with_the_nearest(
    project: Project, capsys: Capture
) -> None:
    raw = project.data / "raw"
    (raw / "people.csv").rename(raw / "peoples.csv")
    loans = pd.read_csv(raw / "loans.csv").rename(columns={"amount": "amounts"})
    loans.to_csv(raw / "loans.csv", index=False)
    assert check() == 1
    words = printed(capsys)
    assert "holds ['loans.csv', 'peoples.csv']; did you mean 'peoples.csv'?" in words
    assert "column 'amount' is missing" in words
    assert "; did you mean 'amounts'?" in words


def test_the_share_of_rows_that_each_rule_drops_is_reported(
    project: Project, capsys: Capture
) -> None:
    tables = book()
    tables["loans"].loc[5, "amount"] = "lots"
    tables["loans"].loc[[7, 8], "amount"] = "50001"
    project.write(tables)
    assert check() == 0
    words = printed(capsys)
    assert "amount: not a number: drops 1 of 600 rows (0.17%), first row 5: 'lots'" in words
    assert "amount: maximum (50000): drops 2 of 600 rows (0.33%), first row 7: '50001'" in words


def test_more_invalid_rows_than_allowed_are_wrong(project: Project, capsys: Capture) -> None:
    tables = book()
    tables["loans"].loc[:99, "purpose"] = "boat"
    project.write(tables)
    assert check() == 1
    assert "16.7% of 600 rows are invalid; preprocess.max_invalid allows" in printed(capsys)


def test_a_target_without_bad_loans_is_wrong(project: Project, capsys: Capture) -> None:
    tables = book()
    tables["loans"]["outcome"] = "repaid"
    project.write(tables)
    assert check() == 1
    assert "needs both" in printed(capsys)


def test_a_book_of_too_few_days_to_split_is_wrong(project: Project, capsys: Capture) -> None:
    tables = book()
    tables["loans"]["granted"] = ["2020-01-01"] * 400 + ["2021-01-01"] * 200
    tables["loans"]["closed"] = "2023-01-01"
    project.write(tables)
    assert check() == 1
    assert "a split by time needs loans of 3 distinct days or more" in printed(capsys)


def test_a_book_of_one_customer_is_wrong(project: Project, capsys: Capture) -> None:
    undated = CONTRACT.replace("date: granted", "entity: who")
    (project.data / "contract.yaml").write_text(undated)
    tables = book()
    project.write(tables | {"loans": tables["loans"].assign(who="one")})
    assert check() == 1
    assert "entity: who has 1 distinct value in 600 loans" in printed(capsys)


def test_a_part_without_bad_loans_is_wrong(project: Project, capsys: Capture) -> None:
    tables = book()
    tables["loans"]["outcome"] = ["sold", "repaid"] * 150 + ["repaid"] * 300
    project.write(tables)
    assert check() == 1
    assert "validation: needs good and bad loans; got" in printed(capsys)


def test_a_rule_of_the_policy_on_an_unknown_field_is_wrong(
    project: Project, capsys: Capture
) -> None:
    rule = {"rule": "amuont > 3000", "decision": "decline", "reason": "Too much"}
    project.set(policy__rules=[rule])
    assert check() == 1
    assert "policy.rules: 'amuont > 3000': amuont is not a field" in printed(capsys)


def test_a_history_without_its_file_is_wrong(project: Project, capsys: Capture) -> None:
    history = "\nhistory:\n  visits: {path: visits.csv, key: loan, join: loan, date: day,\n"
    history += "    fields: {day: {type: date}, calls: {type: number}}}\n"
    (project.data / "contract.yaml").write_text(CONTRACT + history)
    project.write(book())
    assert check() == 1
    assert "visits.csv" in printed(capsys)


def test_repairs_and_unread_columns_are_reported(project: Project, capsys: Capture) -> None:
    tables = book()
    tables["loans"].loc[3, "purpose"] = "hoem"
    tables["people"]["shoe"] = "42"
    project.write(tables)
    assert check() == 0
    words = printed(capsys)
    assert "purpose: hoem → home: 1 rows" in words
    assert "columns that the contract does not name: people.shoe" in words


def test_unmarked_protected_attributes_are_reported(project: Project, capsys: Capture) -> None:
    (project.data / "contract.yaml").write_text(CONTRACT.replace("protected: true, ", ""))
    assert check() == 0
    assert "sex: by its name a protected attribute; mark it `protected: true`" in printed(capsys)


def test_unmarked_leaks_are_reported(project: Project, capsys: Capture) -> None:
    source = CONTRACT.replace(
        "arrears: {type: number, known_at: outcome}", "arrears: {type: number}"
    )
    (project.data / "contract.yaml").write_text(source)
    assert check() == 0
    assert "arrears: suspected leak (near-copy of the target, IV " in printed(capsys)


def test_a_column_that_never_varies_is_named(project: Project, capsys: Capture) -> None:
    tables = book()
    tables["people"]["income"] = "5000"
    project.write(tables)
    assert check() == 0
    assert "income: constant: '5000' throughout" in printed(capsys)


def test_empty_files_are_wrong(project: Project, capsys: Capture) -> None:
    (project.data / "raw" / "people.csv").write_text("")
    assert check() == 1
    assert "people.csv: the file is empty" in printed(capsys)


def test_a_policy_that_would_decline_most_applicants_is_reported(
    project: Project, capsys: Capture
) -> None:
    for cut_off, warns in ((0.5, False), (0.2, True)):
        project.set(policy__cut_off=cut_off)
        assert check("small") == 0
        assert ("policy: approves below a PD of 20.0%, but 26.3% of" in printed(capsys)) == warns


def test_too_few_outcomes_to_judge_by_are_reported(project: Project, capsys: Capture) -> None:
    for rows, warns in ((600, True), (2000, False)):
        tables = book(rows)
        bad = int((tables["loans"]["outcome"] != "repaid").sum())
        project.write(tables)
        assert check() == 0
        said = f"{bad} bad loans, about {0.2 * bad:.0f} of them in the test part"
        assert (said in printed(capsys)) == warns


def test_files_in_another_dialect_are_checked_alike(project: Project, capsys: Capture) -> None:
    raw = project.data / "raw"
    for path in raw.glob("*.csv"):
        pd.read_csv(path, dtype=str, keep_default_na=False).to_csv(path, sep=";", index=False)
    assert check("small") == 1
    assert "if ';' separates its values, say `dialect: {delimiter: ';'}`" in printed(capsys)
    source = CONTRACT.replace(".csv, key", ".csv, dialect: {delimiter: ;}, key")
    (project.data / "contract.yaml").write_text(source)
    assert check("small") == 0


def test_parquet_files_are_checked_alike(project: Project, capsys: Capture) -> None:
    source = CONTRACT.replace("people.csv", "people.parquet")
    (project.data / "contract.yaml").write_text(source)
    people = book()["people"].astype({"income": np.float64})
    people.drop(columns="sex").to_parquet(project.data / "raw" / "people.parquet")
    assert check() == 1
    assert "people.parquet: column 'sex' is missing" in printed(capsys)


@pytest.mark.parametrize("dataset", ["loan_book", "loan_applications"])
def test_the_shipped_contracts_hold_for_the_real_books(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    real = ROOT.parent / "shared" / "data" / dataset
    if not real.exists():
        pytest.skip(f"the real files are not at {real}")
    folder = tmp_path / "data" / dataset
    folder.mkdir(parents=True)
    (folder / "contract.yaml").write_text((ROOT / "data" / dataset / "contract.yaml").read_text())
    (folder / "raw").symlink_to(real)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    assert check(dataset) == 0
    assert "the contract holds" in printed(capsys)


def test_a_book_with_a_history_is_checked_with_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    project = Project(tmp_path, HISTORY).write(with_payments(later=True))
    monkeypatch.chdir(tmp_path)
    assert check("small") == 0
    output = printed(capsys)
    assert "payments: late: maximum (999): drops 1 of" in output
    file = project.data / "raw" / "payments.csv"
    text = file.read_text()
    file.write_text(text.replace("late", "delay", 1))
    assert check("small") == 1
    assert "payments.csv: column 'late' is missing" in printed(capsys)
    file.unlink()
    assert check("small") == 1
    assert "payments.csv: the file is missing" in printed(capsys)
