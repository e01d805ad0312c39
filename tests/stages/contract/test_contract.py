"""The contract: what it refuses, with file and line, and what a model may see of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.contract import reading as contracts
from stages.contract.fields.written_values import text
from stages.contract.reading import read
from stages.contract.schema import AVAILABLE, Contract, ContractError

ROOT = Path(__file__).parents[3]
BURDEN = "derived.burden.formula"
BASE = """\
tables:
  loans: {path: loans.csv, key: id}
  people: {path: people.csv, key: person, join: person}
target: {field: outcome, bad: 1, good: 0}
date: granted
fields:
  amount: {type: number, constraints: {minimum: 0, maximum: 9000}}
  income: {type: number, table: people}
  purpose:
    type: string
    constraints: {enum: [car, home]}
    repair: {hoem: home}
  age: {type: integer, protected: true}
  arrears: {type: number, known_at: outcome}
  rate: {type: number, known_at: pricing}
derived:
  burden: {formula: amount / income}
checks:
  sane: {rule: amount <= 50 * income, message: Too much}
"""


def refused(old: str, new: str) -> str:
    """The error of a contract in which something is replaced."""
    assert old in BASE
    with pytest.raises(ContractError) as caught:
        read(BASE.replace(old, new), "data/x/contract.yaml")
    return str(caught.value)


def shipped(dataset: str) -> Contract:
    return contracts.load(dataset, ROOT / "data")


def test_a_sound_contract_is_read() -> None:
    contract = read(BASE)
    assert list(contract.fields) == ["amount", "income", "purpose", "age", "arrears", "rate"]
    assert contract.fields["amount"].table == contract.base_table == "loans"


@pytest.mark.parametrize(
    ("old", "new", "line", "place", "problem"),
    [
        ("type: number, table", "kind: number, table", 8, "fields.income.kind", "unknown key"),
        ("age: {", "age: {typ: 1, ", 13, "fields.age.typ", "unknown key"),
        ("date: granted", "dates: granted", 5, "dates",
         "unknown key; allowed are aggregates, checks, date"),
        ("{minimum: 0,", "{min: 0,", 7, "fields.amount.constraints.min", "unknown key; allowed"),
        ("type: string", "type: text", 10, "fields.purpose.type", "got 'text'"),
        ("[car, home]", "[]", 11, "fields.purpose.constraints.enum", "at least 1"),
        ("[car, home]", "", 11, "fields.purpose.constraints.enum", "at least one"),
        ("[car, home]", "[car, home, yes]", 11, "fields.purpose.constraints.enum", "in quotes"),
        ("[car, home]", "[car, home, car]", 11, "fields.purpose.constraints.enum", "twice"),
        ("hoem: home", "hoem: boat", 12, "fields.purpose.repair", "'boat' is none of the"),
        ("string", "string\n    minimum: 1", 11, "fields.purpose.minimum", "unknown key"),
        ("minimum: 0, max", "minimum: 9999, max", 7, "fields.amount.constraints", "above maximum"),
        ("string", "string\n    ordered: 1", 11, "fields.purpose.ordered", "got 1"),
        ("string", "string\n    risk: increasing", 11, "fields.purpose.risk", "direction"),
        ("{type: number, known_at: p", "{type: number, ordered: true, known_at: p", 15,
         "fields.rate.ordered", "only categories"),
        ("protected: true", "protected: true, actionable: any", 13, "fields.age", "is never"),
        ("string", "string\n    step: 1", 11, "fields.purpose.step", "only numbers have a step"),
        ("{type: integer, prot", "{type: integer, step: 0.5, prot", 13, "fields.age.step",
         "the step of an integer must be a whole number; got 0.5"),
        ("{type: integer, prot", "{type: integer, step: 0, prot", 13, "fields.age.step",
         "greater than 0; got 0"),
        ("table: people", "table: peple", 8, "fields.income.table", "['loans', 'people']"),
        ("  arrears", "  amount: {type: date}\n  arrears", 7, "fields.amount", "again in line 14"),
        ("arrears", "outcome", 14, "fields.outcome", "declared under `target` alone"),
        ("date: granted", "date: amount", 5, "date", "must be a date; 'amount' is a number"),
        ("bad: 1, good: 0", "bad: [1, 2], good: [0, 2]", 4, "target.good", "'2' means bad too"),
        ("bad: 1", "bad: []", 4, "target.bad", "at least one raw value"),
        ("bad: 1", "bad: {a: 1}", 4, "target.bad", "a text, a number, true or false"),
        (", join: person}", "}", 3, "tables.people", "needs `key` (its own) and `join`"),
        ("key: person, join", "key: [person, id], join", 3, "tables.people.join",
         "as many columns"),
        (", key: id}", ", key: id, optional: true}", 2, "tables.loans.optional", "only a joined"),
        ("join: person}", "join: people.person}", 3, "tables.people.join", "above: ['loans']"),
        ("date: granted", "outcome: {months: 12, observed_until: 2024-06-30}", 5,
         "outcome", "`date`"),
        ("date: granted", "date: granted\noutcome: {months: 0, observed_until: x}", 6,
         "outcome.months", "greater than or equal to 1; got 0"),
        ("{type: integer, prot", "{type: integer, missingValues: [-9, '-9'], prot", 13,
         "fields.age.missingValues", "duplicate code"),
        ("[car, home]}", "[car, home]}\n    missingValues: {home: none}", 12,
         "fields.purpose.missingValues", "'home' is also a value of the field"),
        ("table: people}\n  pur", "table: people, reason: Low}\n  pur", 8, "fields.income.reason",
         "must say {high: ..., low: ..., missing: ..., categories: {VALUE: ...}}"),
        ("type: string", "type: string\n    reason: {hihg: x}", 11, "fields.purpose.reason.hihg",
         "unknown key; allowed are categories, group, high, low, missing, quote"),
        ("type: string", "type: string\n    reason: {high: x}", 11, "fields.purpose.reason.high",
         "is for numbers; a category or boolean has `categories`"),
        ("type: string", "type: string\n    reason: {categories: {boat: x}}", 11,
         "fields.purpose.reason.categories", "must be one of ['car', 'home']; got 'boat'"),
        ("table: people}\n  pur", "table: people, risk: decreasing, reason: {high: x}}\n  pur", 8,
         "fields.income.reason.high", "is never a reason where `risk` is decreasing"),
        ("table: people}\n  pur", "table: people, reason: {missing: {-7: x}}}\n  pur", 8,
         "fields.income.reason.missing", "must be one of the codes with a meaning, []; got -7"),
        ("amount / income}", "amount / income, reason: {categories: {a: b}}}", 17,
         "derived.burden.reason.categories", "is for categories alone; got 'a'"),
        ("amount / income", "amount / salary", 17, BURDEN, "'salary', which is not"),
        ("amount / income", "amount / age", 17, BURDEN, "'age', which is protected"),
        ("amount / income", "arrears / income", 17, BURDEN, "after the outcome"),
        ("amount / income", "amount / purpose", 17, BURDEN, "not a category: 'purpose'"),
        ("amount / income", "amount // income", 17, BURDEN, "the operator FloorDiv"),
            ("amount / income", "burden / income", 17, BURDEN, "'burden', which must stand above"),
        ("burden:", "income:", 17, "derived.income", "cannot have the name of a field"),
        ("<= 50 * income", "* income", 19, "checks.sane.rule", "a rule is"),
        ("50 * income", "50 * salary", 19, "checks.sane.rule", "'salary', which is not declared"),
    ],
)  # fmt: skip
def test_a_wrong_contract_is_refused_with_file_line_place_and_problem(
    old: str, new: str, line: int, place: str, problem: str
) -> None:
    error = refused(old, new)
    assert error.startswith(f"data/x/contract.yaml:{line}: {place}")
    assert problem in error
    assert "\n" not in error


def test_missing_codes_may_have_meanings() -> None:
    field = (
        "{type: number, known_at: pricing, missingValues: {-7: no account, -9: '', -8: no record}}"
    )
    rate = read(BASE.replace("{type: number, known_at: pricing}", field)).fields["rate"]
    assert list(rate.missing_values) == [-7, -9, -8]
    assert rate.missing_meanings == {-7: "no account", -8: "no record"}


def test_a_plain_list_of_missing_codes_has_no_meanings() -> None:
    field = "{type: number, missingValues: [-7, -9]}"
    rate = read(BASE.replace("{type: number, known_at: pricing}", field)).fields["rate"]
    assert (list(rate.missing_values), rate.missing_meanings) == ([-7, -9], {})


def test_an_optional_table_gives_a_flag_and_requires_its_values_only_with_a_row() -> None:
    source = BASE.replace("join: person}", "join: person, optional: true, title: Customer}")
    source = source.replace(
        "{type: number, table: people}",
        "{type: number, table: people, known_at: pricing, constraints: {required: true}}",
    )
    fields = read(source).fields
    flag, income = fields["people_present"], fields["income"]
    assert (flag.type, flag.table, flag.known_at) == ("boolean", "people", "pricing")
    assert flag.is_feature
    assert flag.constraints.required
    assert "Customer" in flag.title
    assert (income.constraints.required, income.required_with_table) == (False, True)


def test_the_flag_of_an_optional_table_may_have_words_of_its_own() -> None:
    source = BASE.replace("join: person}", "join: person, optional: true}")
    source = source.replace(
        "  age:", "  people_present: {type: boolean, title: Has a file}\n  age:"
    )
    flag = read(source).fields["people_present"]
    assert (flag.title, flag.table) == ("Has a file", "people")


def test_a_column_is_named_with_its_table_or_belongs_to_the_first() -> None:
    contract = read(BASE)
    assert contract.place("person") == ("loans", "person")
    assert contract.place("people.person") == ("people", "person")
    assert contract.place("a.b") == ("loans", "a.b")


@pytest.mark.parametrize(("until", "columns"), [("2024-06-30", []), ("seen", ["seen"])])
def test_an_outcome_window_reads_the_columns_that_it_names(until: str, columns: list[str]) -> None:
    window = f"date: granted\noutcome: {{months: 12, observed_until: {until}, event: hit}}"
    outcome = read(BASE.replace("date: granted", window)).outcome
    assert outcome is not None
    assert (outcome.months, outcome.columns) == (12, [*columns, "hit"])


@pytest.mark.parametrize("source", ["", "just words", "- a\n- b\n", "tables: 3", "tables: [a]"])
def test_what_is_no_contract_is_refused_with_its_file(source: str) -> None:
    with pytest.raises(ContractError, match=r"^data/x/contract.yaml"):
        read(source, "data/x/contract.yaml")


def test_what_is_no_text_is_refused_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/contract.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ContractError, match=r"x/contract\.yaml must be a text in UTF-8; it is"):
        contracts.load("x", tmp_path)


def test_what_is_no_yaml_is_refused_with_its_line() -> None:
    with pytest.raises(ContractError, match=r"not YAML(.|\n)*line 2"):
        read("tables: {a: 1}\nfields: ]\ntarget: {}")


def test_booleans_cannot_be_true_and_false_by_one_word() -> None:
    new = "rate: {type: boolean, trueValues: [1, Y], falseValues: [N, 1]}"
    assert "'1' is also one of `trueValues`" in refused(
        "rate: {type: number, known_at: pricing}", new
    )


def test_a_rule_may_read_what_a_feature_may_not() -> None:
    assert read(BASE.replace("50 * income", "50 * age")).checks["sane"].parsed.right == "age"


def test_a_field_is_known_by_mode() -> None:
    contract = read(BASE)
    names = [f.name for f in contract.inputs("application")]
    assert names == ["amount", "income", "purpose"]
    assert [f.name for f in contract.inputs("pricing")] == [*names, "rate"]


def test_a_field_that_is_no_feature_may_still_be_part_of_a_ratio() -> None:
    contract = read(BASE.replace("number, table: people", "number, table: people, feature: false"))
    assert "income" not in [f.name for f in contract.feature_fields("application")]
    assert "income" in [f.name for f in contract.inputs("application")]


def test_a_ratio_is_known_when_both_its_fields_are() -> None:
    contract = read(BASE.replace("amount / income", "amount / rate"))
    assert contract.derived_features("application") == []
    assert [d.name for d in contract.derived_features("pricing")] == ["burden"]


@pytest.mark.parametrize(
    ("value", "raw"), [(1.0, "1"), (1.5, "1.5"), (True, "true"), (-9, "-9"), ("NA", "NA")]
)
def test_values_are_written_as_raw_files_write_them(value: object, raw: str) -> None:
    assert text(value) == raw


@pytest.mark.parametrize("dataset", ["loan_book", "loan_applications", "loan_history"])
def test_no_model_of_a_shipped_contract_sees_protected_fields_or_outcomes(dataset: str) -> None:
    contract = shipped(dataset)
    for f in contract.inputs("pricing"):
        assert not f.protected
        assert f.known_at != "outcome"
    assert contract.protected_fields


def test_grade_and_rate_are_features_in_pricing_only() -> None:
    contract = shipped("loan_applications")
    inputs = {mode: {f.name for f in contract.inputs(mode)} for mode in AVAILABLE}
    assert inputs["pricing"] - inputs["application"] == {"loan_grade", "loan_int_rate"}
    assert inputs["application"] <= inputs["pricing"]


def test_the_loan_book_derives_its_ratios_and_keeps_what_follows_disbursal_out() -> None:
    contract = shipped("loan_book")
    ratios = {d.name for d in contract.derived_features("application")}
    assert ratios >= {"loan_to_income", "delinquency_ratio", "avg_dpd_per_delinquency"}
    late = {"principal_outstanding", "installment_start_dt", "net_disbursement"}
    assert not late & {f.name for f in contract.inputs("pricing")}


def test_an_unknown_dataset_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ContractError, match=r"'loan_applications', 'loan_book', .*got 'loans'"):
        shipped("loans")


def test_the_contract_of_the_documentation_is_read() -> None:
    page = (ROOT / "docs" / "how-to" / "rows.md").read_text()
    contract = read(page.split("```yaml\n")[1].split("```")[0])
    assert contract.entity == "person"
    assert "bureau_present" in {f.name for f in contract.feature_fields("application")}
