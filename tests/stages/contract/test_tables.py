"""Raw tables: read as they are, joined to one row a loan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.contract.raw.cleaning import clean
from stages.contract.raw.quality import Report
from stages.contract.raw.tables import join, read_file
from stages.contract.schema import ContractError
from tests.support.books import CONTRACT, Tables, book, contract


@pytest.fixture
def tables() -> Tables:
    return book(30)


def joined(tables: Tables, folder: Path, source: str = CONTRACT) -> tuple[pd.DataFrame, Report]:
    """Tables written to a folder and joined again."""
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    report = Report()
    return join(contract(source), folder, report), report


def test_a_loan_has_the_columns_of_its_customer(tables: Tables, tmp_path: Path) -> None:
    rows, _ = joined(tables, tmp_path)
    expected = tables["loans"].merge(tables["people"], on="person", how="left")
    assert len(rows) == 30
    assert rows["income"].tolist() == expected["income"].tolist()


def test_many_loans_may_have_one_customer(tables: Tables, tmp_path: Path) -> None:
    tables["loans"]["person"] = tables["people"]["person"].iloc[4]
    rows, _ = joined(tables, tmp_path)
    assert rows["income"].tolist() == [tables["people"]["income"].iloc[4]] * 30


def test_columns_that_the_contract_does_not_name_are_left_out_and_reported(
    tables: Tables, tmp_path: Path
) -> None:
    tables["people"]["city"] = "Pune"
    rows, report = joined(tables, tmp_path)
    assert "city" not in rows
    assert report.ignored == ["people.city"]


def test_a_repeated_loan_is_dropped_and_counted(tables: Tables, tmp_path: Path) -> None:
    tables["loans"] = tables["loans"].iloc[[0, 1, 2, 1, 2]]
    rows, report = joined(tables, tmp_path)
    assert rows.index.tolist() == [0, 1, 2]
    assert report.rows_in == 5
    assert report.rules["loan: repeated key"] == {"rows": 2, "example": {"row": 3, "value": "1"}}


def test_a_repeated_row_is_dropped_where_loans_have_no_key(tables: Tables, tmp_path: Path) -> None:
    tables["loans"] = tables["loans"].iloc[[0, 1, 0]]
    rows, report = joined(tables, tmp_path, CONTRACT.replace("csv, key: loan}", "csv}"))
    assert rows.index.tolist() == [0, 1]
    assert report.rules["person: repeated row"]["rows"] == 1


def test_a_loan_without_its_customer_is_dropped_and_counted(tables: Tables, tmp_path: Path) -> None:
    tables["people"] = tables["people"].iloc[5:]
    rows, report = joined(tables, tmp_path)
    assert rows.index.tolist() == list(range(5, 30))
    assert report.rules["person: no row in people"]["rows"] == 5


def test_a_customer_who_is_there_twice_makes_no_loan_twice(tables: Tables, tmp_path: Path) -> None:
    tables["people"] = pd.concat([tables["people"], tables["people"]])
    assert joined(tables, tmp_path)[0].index.tolist() == list(range(30))


def test_rows_of_one_loan_that_differ_are_all_invalid_whatever_their_order(
    tables: Tables, tmp_path: Path
) -> None:
    twice = tables["loans"].iloc[[0, 1, 2, 1, 3, 3]].reset_index(drop=True)
    twice.loc[3, "amount"] = "777"
    for order in ([0, 1, 2, 3, 4, 5], [3, 0, 1, 2, 4, 5]):
        tables["loans"] = twice.iloc[order]
        rows, report = joined(tables, tmp_path)
        assert sorted(rows["loan"]) == ["0", "2", "3"]
        assert report.rules["loan: repeated key with other content"]["rows"] == 2
        assert report.rules["loan: repeated key"]["rows"] == 1


def test_a_loan_without_a_key_is_invalid(tables: Tables, tmp_path: Path) -> None:
    tables["loans"].loc[[3, 8], "loan"] = " "
    rows, report = joined(tables, tmp_path)
    assert len(rows) == 28
    assert report.rules["loan: missing key"]["rows"] == 2


def test_rows_without_a_key_repeat_only_where_every_column_of_the_file_does(
    tables: Tables, tmp_path: Path
) -> None:
    tables["loans"] = tables["loans"].iloc[[0, 1, 0, 0]].assign(officer=["a", "b", "a", "c"])
    rows, report = joined(tables, tmp_path, CONTRACT.replace("csv, key: loan}", "csv}"))
    assert rows.index.tolist() == [0, 1, 3]
    assert "officer" not in rows
    assert "loans.officer" in report.ignored


def test_a_joined_table_whose_key_repeats_is_refused_with_count_and_example(
    tables: Tables, tmp_path: Path
) -> None:
    again = tables["people"].iloc[[4, 4, 9]].assign(income="7")
    tables["people"] = pd.concat([tables["people"], again])
    with pytest.raises(ContractError) as caught:
        joined(tables, tmp_path)
    example = tables["people"]["person"].iloc[4]
    for words in (
        "people.csv: the key person of the table 'people' must have one row each; 2 keys have",
        f"for example '{example}' (2 rows)",
        "history table",
    ):
        assert words in str(caught.value)


OPTIONAL = CONTRACT.replace("join: person}", "join: person, optional: true}")


def test_a_loan_without_a_row_in_an_optional_table_has_missing_values_and_a_flag(
    tables: Tables, tmp_path: Path
) -> None:
    gone = tables["people"]["person"].iloc[:5]
    tables["people"] = tables["people"].iloc[5:]
    rows, report = joined(tables, tmp_path, OPTIONAL)
    assert report.rules == {}
    without = rows["person"].isin(gone)
    assert without.sum() == 5
    assert rows["people_present"].tolist() == (~without).tolist()
    assert rows.loc[without, "income"].isna().all()
    assert rows.loc[~without, "income"].notna().all()


def test_a_required_field_of_an_optional_table_is_required_where_there_is_a_row(
    tables: Tables, tmp_path: Path
) -> None:
    tables["people"] = tables["people"].iloc[5:]
    tables["people"].loc[7, "income"] = ""
    required = "people, constraints: {required: true, min"
    source = OPTIONAL.replace("people, constraints: {min", required)
    rows, report = joined(tables, tmp_path, source)
    valid = clean(contract(source), rows, report)
    assert {name: rule["rows"] for name, rule in report.rules.items()} == {"income: missing": 1}
    assert valid["people_present"].value_counts().to_dict() == {True: 24, False: 5}


def test_blank_keys_join_nothing(tables: Tables, tmp_path: Path) -> None:
    tables["people"].loc[[0, 1], "person"] = ""
    tables["loans"].loc[[3, 4], "person"] = ["", "NA"]
    expected = tables["loans"]["person"].isin(set(tables["people"]["person"]) - {"", "NA"})
    rows, report = joined(tables, tmp_path)
    assert rows.index.tolist() == np.flatnonzero(expected).tolist()
    assert report.rules["person: no row in people"]["rows"] == (~expected).sum() >= 2


@pytest.mark.parametrize("kind", ["int64", "float64", "Int64", "int32"])
def test_keys_match_whatever_the_types_of_the_files(
    kind: str, tables: Tables, tmp_path: Path
) -> None:
    expected, _ = joined(tables, tmp_path)
    typed = tables["people"].assign(person=tables["people"]["person"].astype(float).astype(kind))
    typed.to_parquet(tmp_path / "people.parquet")
    rows, _ = joined(tables, tmp_path, CONTRACT.replace("people.csv", "people.parquet"))
    assert rows["income"].tolist() == expected["income"].tolist()


def test_a_key_may_have_several_columns(tables: Tables, tmp_path: Path) -> None:
    loans, people = tables["loans"], tables["people"]
    for table in (loans, people):
        table["bank"] = (table["person"].astype(int) % 3).astype(str)
        table["person"] = (table["person"].astype(int) // 3).astype(str)
    source = CONTRACT.replace(
        "key: person, join: person}", "key: [bank, person], join: [bank, person]}"
    )
    rows, report = joined(tables, tmp_path, source)
    expected = loans.merge(people, on=["bank", "person"], how="left")["income"]
    assert rows["income"].tolist() == expected.tolist()
    assert report.rules == {}


def test_tables_may_be_joined_in_a_chain(tables: Tables, tmp_path: Path) -> None:
    tables["people"]["home"] = [f"d{n % 4}" for n in range(30)]
    tables["places"] = pd.DataFrame({"code": [f"d{n}" for n in range(4)], "density": list("1234")})
    source = CONTRACT.replace(
        "target:", "  places: {path: places.csv, key: code, join: people.home}\ntarget:"
    ).replace("  sex:", "  density: {type: number, table: places}\n  sex:")
    rows, report = joined(tables, tmp_path, source)
    homes = tables["people"].set_index("person")["home"]
    expected = rows["person"].map(homes).map(tables["places"].set_index("code")["density"])
    assert rows["density"].tolist() == expected.tolist()
    assert report.rules == {}


@pytest.mark.parametrize(
    ("table", "column"),
    [("loans", "amount"), ("loans", "outcome"), ("loans", "granted"), ("people", "person")],
)
def test_a_missing_column_is_named_with_its_file_and_what_is_there(
    table: str, column: str, tables: Tables, tmp_path: Path
) -> None:
    tables[table] = tables[table].drop(columns=column)
    with pytest.raises(ContractError, match=f"{table}.csv: column '{column}' is missing; the file"):
        joined(tables, tmp_path)


def test_a_column_of_two_tables_is_refused(tables: Tables, tmp_path: Path) -> None:
    tables["people"]["granted"] = "2020-01-01"
    source = CONTRACT.replace("  sex:", "  granted: {type: date, table: people}\n  sex:")
    with pytest.raises(ContractError, match=r"people\.csv: column 'granted' is read from another"):
        joined(tables, tmp_path, source)


def test_a_missing_file_is_named_with_what_its_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a\n1\n")
    with pytest.raises(ContractError, match=r"loans\.csv: the file is missing.*\['other\.csv'\]"):
        read_file(tmp_path / "loans.csv")


def test_text_is_read_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfid,word\n007,NA\n1e5,\n")
    table = read_file(tmp_path / "a.csv")
    assert table.to_dict("list") == {"id": ["007", "1e5"], "word": ["NA", ""]}


def test_parquet_and_csv_give_the_same_rows(tables: Tables, tmp_path: Path) -> None:
    by_csv, _ = joined(tables, tmp_path)
    tables["people"].to_parquet(tmp_path / "people.parquet")
    by_parquet = join(
        contract(CONTRACT.replace("people.csv", "people.parquet")), tmp_path, Report()
    )
    assert by_parquet.astype(str).equals(by_csv.astype(str))
