"""What a request may be: everything that the contract allows, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.decision.applications import Applications, InvalidApplication
from service.decision.json_bodies import NotJSON
from service.decision.problems import Problem
from stages.contract import reading as contracts
from stages.contract.schema import Mode
from tests.support.books import CONTRACT, MEANINGS, ROOT, applications, contract

OTHER_SYSTEMS_BODY = {
    "person_age": 33, "person_income": 54000, "person_emp_length": 6, "loan_int_rate": 12.5,
    "loan_amnt": 9000, "loan_percent_income": 0.16, "loan_intent": "PERSONAL",
    "person_home_ownership": "RENT", "loan_grade": "B", "cb_person_default_on_file": "N",
    "cb_person_cred_hist_length": 5,
}  # fmt: skip
GOOD = {"amount": 5000, "purpose": "car", "income": 20_000.5, "insured": "Y", "branch": 10}


SMALL = Applications(contract(), "application")


@pytest.fixture
def small() -> Applications:
    return SMALL


def shipped(dataset: str, mode: Mode) -> Applications:
    return Applications(contracts.load(dataset, ROOT / "data"), mode)


def problems(requests: Applications, application: Any) -> dict[str, Problem]:
    with pytest.raises(InvalidApplication) as refused:
        requests.check(application)
    return {problem.field: problem for problem in refused.value.problems}


@pytest.mark.parametrize("mode", ["application", "pricing"])
def test_the_body_of_another_system_works_unchanged(mode: Mode) -> None:
    requests = shipped("loan_applications", mode)
    assert requests.parse(json.dumps(OTHER_SYSTEMS_BODY).encode()) == OTHER_SYSTEMS_BODY


@pytest.mark.parametrize("dataset", ["loan_book", "loan_applications", "loan_history"])
def test_the_contracts_example_is_a_request(dataset: str) -> None:
    requests = shipped(dataset, "application")
    assert requests.check(requests.example) == requests.example


@given(applications(contract()))
def test_whatever_the_contract_allows_is_accepted(application: dict[str, Any]) -> None:
    known = {k: abs(v) if type(v) is float else v for k, v in application.items() if v is not None}
    whole = {"amount": 5000, "purpose": "car"} | known
    assert SMALL.check(whole) == whole


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_comes_is_accepted_or_refused(value: Any) -> None:
    with suppress(InvalidApplication, NotJSON):
        SMALL.parse(json.dumps(value).encode())


@given(st.sampled_from(sorted(GOOD)), st.floats() | st.integers() | st.text() | st.booleans())
def test_whatever_a_field_holds_is_accepted_or_refused_by_its_name(name: str, value: Any) -> None:
    problems_of_value: list[Problem] = []
    try:
        SMALL.check(GOOD | {name: value})
    except InvalidApplication as refused:
        problems_of_value = refused.problems
    assert {p.field for p in problems_of_value} <= {name}
    json.dumps(problems_of_value, allow_nan=False)


def test_a_lowest_or_highest_value_of_zero_is_a_bound_too() -> None:
    text = CONTRACT.replace("minimum: 1, maximum: 120", "minimum: 0, maximum: 0")
    requests = Applications(contract(text), "application")
    assert requests.check(GOOD | {"months": 0})
    assert set(problems(requests, GOOD | {"months": -1})) == {"months"}
    assert set(problems(requests, GOOD | {"months": 1})) == {"months"}


def test_an_empty_application_lacks_what_the_model_needs(small: Applications) -> None:
    assert set(problems(small, {})) == {"amount", "purpose"}


def test_a_field_of_another_mode_is_not_required() -> None:
    without = {k: v for k, v in OTHER_SYSTEMS_BODY.items() if k != "loan_grade"}
    assert shipped("loan_applications", "application").check(without)
    assert set(problems(shipped("loan_applications", "pricing"), without)) == {"loan_grade"}


def test_an_unused_field_is_validated_all_the_same(small: Applications) -> None:
    assert small.check(GOOD | {"sex": "F", "grade": "B"})
    assert set(problems(small, GOOD | {"sex": "X", "grade": "D"})) == {"sex", "grade"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 99),
        ("amount", 50001),
        ("amount", "5000"),
        ("amount", True),
        ("amount", None),
        ("amount", [5000]),
        ("amount", float("nan")),
        ("amount", float("inf")),
        ("amount", 10**400),
        ("months", 6.5),
        ("months", -8),
        ("income", -1),
        ("months", 10**30),
        ("purpose", "boat"),
        ("purpose", "hoem"),
        ("purpose", {"a": 1}),
        ("insured", 1),
        ("insured", "yes"),
        ("branch", True),
        ("branch", "10"),
        ("branch", 40),
    ],
)
def test_a_value_that_the_contract_does_not_allow_is_refused(
    small: Applications, field: str, value: Any
) -> None:
    problem = problems(small, GOOD | {field: value})[field]
    assert problem.allowed in problem.message


@pytest.mark.parametrize(
    ("field", "value"),
    [("months", 6.0), ("months", None), ("insured", True), ("amount", 5000.5), ("stated", 0.25)],
)
def test_a_value_that_the_contract_allows_is_accepted(
    small: Applications, field: str, value: Any
) -> None:
    assert small.check(GOOD | {field: value})[field] is value


def test_a_message_says_what_is_allowed_and_what_came(small: Applications) -> None:
    problem = problems(small, GOOD | {"amount": 99})["amount"]
    assert problem.message == "amount must be a number from 100 to 50000; got 99"
    assert (problem.allowed, problem.got) == ("a number from 100 to 50000", 99)


def test_an_unknown_field_is_refused_with_the_likely_one(small: Applications) -> None:
    assert problems(small, GOOD | {"amuont": 1})["amuont"].message.endswith("did you mean amount?")


@pytest.mark.parametrize("late", ["arrears", "outcome"])
def test_what_is_known_only_later_is_refused(small: Applications, late: str) -> None:
    assert "known only after" in problems(small, GOOD | {late: 1})[late].message


def test_a_stated_ratio_is_checked_against_its_formula(small: Applications) -> None:
    assert small.check(GOOD | {"stated": 0.255})
    assert "here 0.249994" in problems(small, GOOD | {"stated": 0.3})["stated"].message


def test_a_stated_ratio_without_its_fields_is_let_be(small: Applications) -> None:
    assert small.check({"amount": 5000, "purpose": "car", "stated": 9})
    assert small.check({"amount": 5000, "purpose": "car", "income": 0, "stated": 9})


def test_fields_that_contradict_each_other_are_refused() -> None:
    requests = shipped("loan_applications", "application")
    problem = problems(requests, OTHER_SYSTEMS_BODY | {"person_emp_length": 50})[
        "person_emp_length"
    ]
    assert problem.message.startswith("Longer in employment than since the age of 14")
    assert "person_age 33" in problem.message


def test_a_rule_holds_where_a_side_is_missing() -> None:
    without = {k: v for k, v in OTHER_SYSTEMS_BODY.items() if k != "person_age"}
    assert shipped("loan_applications", "application").check(without | {"person_emp_length": 50})


@pytest.mark.parametrize("value", [None, [], "x", 5, True])
def test_what_is_no_object_is_refused(small: Applications, value: Any) -> None:
    assert set(problems(small, value)) == {""}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"{'a': 1}", b'{"a":"\\ud800"}', b"[" * 9999])
def test_what_is_no_json_is_refused(small: Applications, body: bytes) -> None:
    with pytest.raises(NotJSON, match="must be JSON"):
        small.parse(body)


def test_not_a_number_is_refused_by_its_field(small: Applications) -> None:
    with pytest.raises(InvalidApplication, match=r"amount must be .* got NaN"):
        small.parse(b'{"amount": NaN, "purpose": "car"}')


def test_a_flood_of_problems_is_cut_off(small: Applications) -> None:
    flood = {f"x{i}" * 500: "y" * 500 for i in range(1000)}
    messages = problems(small, flood).values()
    assert len(messages) <= 50
    assert len(json.dumps([*messages])) < 50_000


def test_the_schema_names_every_field_and_requires_the_same(small: Applications) -> None:
    schema = small.schema()
    assert set(schema["required"]) == small.required == {"amount", "purpose"}
    assert set(schema["properties"]) == {*small.fields, "stated"}
    assert not schema["additionalProperties"]


def test_a_contract_without_bounds_still_has_numbers_that_a_model_can_read() -> None:
    text = CONTRACT.replace(
        "constraints: {minimum: 100, maximum: 50000, required: true}", "title: A"
    )
    requests = Applications(
        contract(text.replace("{minimum: 1, maximum: 120}", "{}")), "application"
    )
    assert set(problems(requests, {"purpose": "car", "months": 1 << 60, "amount": 10**999})) == {
        "months",
        "amount",
    }


# Codes that stand for missing values


MEANT = Applications(
    contract(MEANINGS.replace("rule: arrears <= 2 * amount", "rule: months <= 2 * amount")),
    "application",
)


@pytest.mark.parametrize("code", [-7, -9, -9.0, None])
def test_a_missing_code_of_the_contract_is_accepted_as_it_came(code: Any) -> None:
    assert MEANT.check(GOOD | {"months": code}) == GOOD | {"months": code}


@pytest.mark.parametrize("value", [-8, True, "-9", 0])
def test_another_code_is_refused_once_with_the_codes_that_are_allowed(value: Any) -> None:
    with pytest.raises(InvalidApplication) as refused:
        MEANT.check(GOOD | {"months": value})
    (problem,) = refused.value.problems
    assert problem.field == "months"
    assert "-7 (no loan so far), -9 (no record), or null" in problem.message


def test_a_missing_code_breaks_no_rule_and_no_stated_ratio() -> None:
    text = MEANINGS.replace(
        "maximum: 1000000}}", "maximum: 1000000}, missingValues: {-1: unasked}}"
    )
    requests = Applications(contract(text), "application")
    application = GOOD | {"income": -1, "stated": 0.9}
    assert requests.check(application) == application
    assert MEANT.keep_rules({}, GOOD | {"months": -7})


def test_a_required_field_takes_no_code_without_a_meaning() -> None:
    text = CONTRACT.replace("maximum: 50000, required: true}", "maximum: 50000, required: true}, ")
    plain = text.replace("required: true}, ", "required: true}\n    missingValues: [-1]")
    meant = text.replace("required: true}, ", "required: true}\n    missingValues: {-1: unasked}")
    assert "amount" in problems(Applications(contract(plain), "application"), GOOD | {"amount": -1})
    accepted = Applications(contract(meant), "application")
    assert accepted.check(GOOD | {"amount": -1})["amount"] == -1
    assert "amount" in problems(accepted, {k: v for k, v in GOOD.items() if k != "amount"})


def test_the_schema_describes_the_codes() -> None:
    options = MEANT.schema()["properties"]["months"]["anyOf"]
    codes = next(option for option in options if "enum" in option)
    assert codes["enum"] == [-7, -9]
    assert codes["description"] == "-7: no loan so far; -9: no record"


@pytest.mark.parametrize(
    "day",
    [
        "2024-99-99",
        "2023-02-29",
        "0000-01-01",
        "\u0662\u0660\u0662\u0664-\u0660\u0661-\u0660\u0661",
        "2024-01-01\n",
        "20240101",
    ],
)
def test_a_day_that_is_not_in_the_calendar_is_refused(day: str) -> None:
    late = "closed: {type: date, known_at: outcome}"
    early = "opened: {type: date, known_at: application, feature: false}"
    dated = Applications(contract(CONTRACT.replace(late, early)), "application")
    assert problems(dated, {**GOOD, "opened": day})["opened"].allowed.startswith("a date")
    assert dated.check({**GOOD, "opened": "2024-02-29"})
