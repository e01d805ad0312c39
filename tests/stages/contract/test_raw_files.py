"""Raw files as lenders have them: one book in many dialects gives the same rows."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from stages.contract import reading
from stages.contract.fields.written_values import plain_date, plain_number
from stages.contract.raw.files import header, read_file
from stages.contract.raw.quality import Report
from stages.contract.raw.tables import read_valid
from stages.contract.schema import ContractError
from stages.contract.tables import Dialect, RawTable

PLAIN = """
tables:
  loans: {path: loans.csv, key: id}
target: {field: status, bad: B, good: A}
date: paid_out
fields:
  paid_out: {type: date}
  amount: {type: number, constraints: {minimum: 0, maximum: 1000000}}
  rate: {type: number, constraints: {minimum: 0, maximum: 100}}
  months: {type: integer, constraints: {minimum: 1, maximum: 360}}
  arrears: {type: number, constraints: {minimum: -10, maximum: 10}}
  home: {type: string, constraints: {enum: [Müller, eigen]}}
"""
ROWS = pd.DataFrame(
    {
        "id": [f"L{i}" for i in range(40)],
        "paid_out": pd.date_range("2019-11-28", periods=40, freq="31D").strftime("%Y-%m-%d"),
        "amount": [1234.5 + 97_531 * (i % 9) for i in range(40)],
        "rate": [0.25 * i for i in range(40)],
        "months": [6 + 6 * (i % 5) for i in range(40)],
        "arrears": [0.5 * (i % 7) - 1 for i in range(40)],
        "home": ["Müller" if i % 3 else "eigen" for i in range(40)],
        "status": ["B" if i % 4 == 0 else "A" for i in range(40)],
    }
)


def cleaned(source: str, folder: Path) -> pd.DataFrame:
    """The valid rows of the files in a folder, none of which may be dropped."""
    report = Report()
    rows = read_valid(reading.read(source), folder, report, 0)
    assert not report.rules
    return rows


@pytest.fixture
def expected(tmp_path: Path) -> pd.DataFrame:
    folder = tmp_path / "plain"
    folder.mkdir()
    ROWS.to_csv(folder / "loans.csv", index=False)
    return cleaned(PLAIN, folder)


def german(folder: Path) -> str:
    """Semicolons, decimal commas, dots between thousands, cp1252, dates as people write them."""
    rows = ROWS.copy()
    rows["amount"] = [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in ROWS["amount"]]
    rows["rate"] = [f"{v:.2f}".replace(".", ",") + " %" for v in ROWS["rate"]]
    rows["arrears"] = [str(v).replace(".", ",") for v in ROWS["arrears"]]
    rows["months"] = [f"{v} Monate" for v in ROWS["months"]]
    rows["paid_out"] = pd.to_datetime(ROWS["paid_out"]).dt.strftime("%d.%m.%Y")
    rows.to_csv(folder / "loans.asc", index=False, sep=";", encoding="cp1252")
    return (
        PLAIN.replace(
            "{path: loans.csv, key: id}",
            "{path: loans.asc, key: id, encoding: cp1252, dialect: {delimiter: ';'}}",
        )
        .replace("date}", "date, format: '%d.%m.%Y'}")
        .replace("amount: {", "amount: {decimalChar: ',', groupChar: '.', ")
        .replace("rate: {", "rate: {decimalChar: ',', bareNumber: false, ")
        .replace("arrears: {", "arrears: {decimalChar: ',', ")
        .replace("months: {", "months: {bareNumber: false, ")
    )


def other_names(folder: Path) -> str:
    """Names that no formula could hold, one of them that of another field."""
    names = {"amount": "Kredit (Betrag)", "rate": "months", "months": "Days past due 60-89"}
    ROWS.rename(columns=names | {"paid_out": "Änderung am"}).to_csv(
        folder / "loans.csv", index=False
    )
    return (
        PLAIN.replace("amount: {", "amount: {column: Kredit (Betrag), ")
        .replace("rate: {", "rate: {column: months, ")
        .replace("months: {type", "months: {column: Days past due 60-89, type")
        .replace("paid_out: {", "paid_out: {column: Änderung am, ")
    )


def packed(folder: Path) -> str:
    """Tabs, packed."""
    text = ROWS.to_csv(index=False, sep="\t")
    (folder / "loans.tsv.gz").write_bytes(gzip.compress(text.encode()))
    return PLAIN.replace("loans.csv", "loans.tsv.gz")


def without_names(folder: Path) -> str:
    """Columns by runs of blanks, without a row of names."""
    lines = ["  ".join(map(str, row)) for row in ROWS.itertuples(index=False)]
    (folder / "loans.data").write_text("\n".join(lines) + "\n")
    source = PLAIN.replace(
        "{path: loans.csv, key: id}",
        "{path: loans.data, key: field1, dialect: {delimiter: ' ', header: false}}",
    ).replace("field: status", "field: field8")
    for place, name in enumerate(ROWS.columns[1:-1], start=2):
        source = source.replace(f"  {name}: {{", f"  {name}: {{column: field{place}, ")
    return source


def workbook(folder: Path) -> str:
    """A sheet of an Excel file, in which dates and numbers have types."""
    rows = ROWS.assign(paid_out=pd.to_datetime(ROWS["paid_out"]))
    with pd.ExcelWriter(folder / "loans.xlsx") as writer:
        pd.DataFrame({"note": ["read the other sheet"]}).to_excel(writer, sheet_name="About")
        rows.to_excel(writer, sheet_name="Loans", index=False)
    return PLAIN.replace(
        "{path: loans.csv, key: id}", "{path: loans.xlsx, key: id, dialect: {sheet: Loans}}"
    )


def parquet(folder: Path) -> str:
    """A file with types, which no word about texts changes."""
    ROWS.assign(paid_out=pd.to_datetime(ROWS["paid_out"])).to_parquet(folder / "loans.parquet")
    return (
        PLAIN.replace("loans.csv", "loans.parquet")
        .replace("amount: {", "amount: {decimalChar: ',', groupChar: '.', ")
        .replace("date}", "date, format: '%d.%m.%Y'}")
    )


@pytest.mark.parametrize("write", [german, other_names, packed, without_names, workbook, parquet])
def test_a_book_gives_the_same_rows_in_every_dialect(
    write: Callable[[Path], str], expected: pd.DataFrame, tmp_path: Path
) -> None:
    rows = cleaned(write(tmp_path), tmp_path)
    pd.testing.assert_frame_equal(rows[expected.columns], expected)


def test_tables_may_have_columns_of_one_name(tmp_path: Path) -> None:
    ROWS.assign(person=range(40)).to_csv(tmp_path / "loans.csv", index=False)
    people = pd.DataFrame({"person": range(40), "amount": range(40)})
    people.to_csv(tmp_path / "people.csv", index=False)
    source = PLAIN.replace(
        "target:", "  people: {path: people.csv, key: person, join: person}\ntarget:"
    )
    savings = "  savings: {table: people, column: amount, type: number}\n"
    rows = cleaned(source + savings, tmp_path)
    assert rows["savings"].tolist() == list(range(40))
    assert rows["amount"].tolist() == ROWS["amount"].tolist()


def test_a_key_that_is_a_field_under_another_name_is_both(tmp_path: Path) -> None:
    ROWS.assign(id=range(100, 140)).to_csv(tmp_path / "loans.csv", index=False)
    rows = cleaned(PLAIN + "  number: {column: id, type: integer}\n", tmp_path)
    assert rows["number"].tolist() == list(range(100, 140))


def test_a_book_without_a_key_may_rename_its_columns(tmp_path: Path) -> None:
    source = other_names(tmp_path).replace(", key: id", "")
    assert len(cleaned(source, tmp_path)) == 40


def test_dropped_rows_are_counted_by_a_date_of_another_name(tmp_path: Path) -> None:
    rows = ROWS.assign(amount=[-1, *ROWS["amount"][1:]])
    rows.rename(columns={"paid_out": "Paid"}).to_csv(tmp_path / "loans.csv", index=False)
    report = Report()
    source = PLAIN.replace("paid_out: {", "paid_out: {column: Paid, ")
    read_valid(reading.read(source), tmp_path, report, 1)
    assert [dates.tolist() for dates in report.dropped_dates] == [["2019-11-28"]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id;status\nL1;A\n", "if ';' separates its values, say `dialect: {delimiter: ';'}`"),
        ("id|status\nL1|A\n", "if '|' separates its values"),
    ],
)
def test_the_message_names_the_delimiter_that_the_file_seems_to_have(
    text: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "loans.csv").write_text(text)
    with pytest.raises(ContractError, match="is missing") as error:
        cleaned(PLAIN, tmp_path)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("table", "content", "reason"),
    [
        (RawTable(path="a.csv"), b"a,b\n1,2\n1,2,3\n", "cannot be read as csv"),
        (RawTable(path="a.csv"), "a,b\nMüller,2\n".encode("cp1252"), "say `encoding: cp1252`"),
        (RawTable(path="a.csv"), "a,b\n1,2\n".encode("utf-16"), "say `encoding: utf-16` of its"),
        (RawTable(path="a.csv"), "a,b\n1,2\n".encode("utf-16-be"), "say `encoding: utf-16-be`"),
        (
            RawTable(path="a.asc", dialect=Dialect(delimiter=" ")),
            "a b\n1 2\n".encode("utf-16-le"),
            "is in UTF-16 and not in utf-8; say `encoding: utf-16-le`",
        ),
        (RawTable(path="a.csv"), b"a,b\n1,2\n3\n", "Expected 2 columns, got 1"),
        (RawTable(path="a.csv"), b"a,b,a\n1,2,3\n", "1 columns have the same name, such as 'a'"),
        (RawTable(path="a.csv.gz"), b"a,b\n1,2\n", "cannot be read as csv"),
        (RawTable(path="a.xlsx"), b"a,b\n1,2\n", "cannot be read as xlsx"),
        (RawTable(path="a.parquet"), b"PAR?", "cannot be read as parquet"),
        (RawTable(path="a.json"), b"{}", "a table is one of .csv"),
        (RawTable(path="a.csv"), b"a,b\n", "has columns but no rows"),
        (RawTable(path="a.csv"), b"", "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    table: RawTable, content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / table.path
    path.write_bytes(content)
    with pytest.raises(ContractError, match=reason) as error:
        read_file(path, None, table)
    assert str(path) in str(error.value)


def test_every_row_may_end_with_a_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a;b;\n1;2;\n3;4;\n")
    table = RawTable(path="a.csv", dialect=Dialect(delimiter=";"))
    assert read_file(path, ["a", "b"], table).to_dict("list") == {"a": ["1", "3"], "b": ["2", "4"]}
    assert header(path, table)[:2] == ["a", "b"]


@pytest.mark.parametrize(
    ("word", "form", "plain"),
    [
        ("36 months", {"bare": False}, "36"),
        ("$1,200", {"bare": False, "group": ","}, "1200"),
        ("12,34,567", {"group": ","}, "1234567"),
        ("-5,5", {"decimal": ","}, "-5.5"),
        ("10+ years", {"bare": False}, "10"),
        ("Rs. 500", {"bare": False}, "500"),
        ("1e3", {"bare": False}, "1e3"),
        ("1 year 3 months", {"bare": False}, "1 year 3 months"),
        ("5-10 years", {"bare": False}, "5-10 years"),
        ("(1,200)", {"bare": False, "group": ","}, "(1,200)"),
        ("12 months", {}, "12 months"),
        ("", {"bare": False}, ""),
    ],
)
def test_numbers_are_read_as_people_write_them_and_never_guessed(
    word: str, form: dict[str, str | bool], plain: str
) -> None:
    assert plain_number(word, **form) == plain  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "pattern", "plain"),
    [
        ("Mar-2017", "%b-%Y", "2017-03-01T00:00:00"),
        ("2/28/1997", "%m/%d/%Y", "1997-02-28T00:00:00"),
        ("930705", "%y%m%d", "1993-07-05T00:00:00"),
        ("931107 00:00:00", "%y%m%d %H:%M:%S", "1993-11-07T00:00:00"),
        ("31/02/2020", "%d/%m/%Y", "31/02/2020"),
    ],
)
def test_dates_are_read_by_their_pattern(word: str, pattern: str, plain: str) -> None:
    assert plain_date(word, pattern) == plain


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ("{type: number, format: '%Y'}", "fields.x.format: is for dates; the type is number"),
        ("{type: date, format: '%H'}", "fields.x.format: needs a year and a month"),
        ("{type: date, format: '%q'}", "bad directive"),
        ("{type: date, decimalChar: ','}", "fields.x.decimalChar: is allowed only for numbers"),
        ("{type: number, groupChar: '.'}", "must differ from `decimalChar`"),
        ("{type: number, decimalChar: '5'}", "must not be a digit or a sign; got '5'"),
        ("{type: number, decimalChar: ''}", "fields.x.decimalChar"),
        ("{type: number, column: status}", "the target is declared under `target` alone"),
        ("{type: number, dezimal: ','}", "unknown key"),
    ],
)
def test_a_contradiction_about_texts_is_named(field: str, problem: str) -> None:
    with pytest.raises(ContractError) as error:
        reading.read(f"{PLAIN}  x: {field}\n")
    assert problem in str(error.value)


def test_an_encoding_that_does_not_exist_is_named() -> None:
    with pytest.raises(ContractError, match=r"tables\.loans\.encoding: must be .*'klingon'"):
        reading.read(PLAIN.replace("key: id}", "key: id, encoding: klingon}"))


def test_a_field_cannot_have_the_name_of_a_key(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"fields\.id: is the name of a key of 'loans'"):
        reading.read(PLAIN + "  id: {column: number, type: integer}\n")
