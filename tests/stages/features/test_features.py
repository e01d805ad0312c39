"""Features: one code for one row and for many, and never from what a model may not know."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.contract import reading as contracts
from stages.contract.schema import ContractError, Mode
from stages.features.encoding import decode
from stages.features.matrix import Features
from tests.support.books import CONTRACT, MEANINGS, ROOT, applications, contract

SHIPPED = sorted(path.parent.name for path in (ROOT / "data").glob("*/contract.yaml"))
MODES = get_args(Mode)
SMALL = Features(contract(), "pricing")
MEANT = Features(contract(MEANINGS), "pricing")


def of(application: dict[str, Any], features: Features = SMALL) -> dict[str, float]:
    """The features of one application by name."""
    columns = {name: [value] for name, value in application.items()}
    return dict(zip(features.names, features(columns or {"amount": [None]})[0], strict=True))


@given(st.lists(applications(contract(), "pricing"), min_size=1, max_size=6), st.data())
def test_a_row_has_the_same_features_alone_in_a_batch_and_in_another_order(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    def matrix(batch: list[dict[str, Any]]) -> Any:
        return SMALL({f.name: [row.get(f.name) for row in batch] for f in SMALL.inputs})

    together, order = matrix(rows), data.draw(st.permutations(range(len(rows))))
    np.testing.assert_array_equal(together, np.vstack([matrix([row]) for row in rows]))
    np.testing.assert_array_equal(together[order], matrix([rows[i] for i in order]))


@given(applications(contract(), "pricing"))
def test_an_encoded_row_turns_back_into_an_application_with_the_same_features(
    application: dict[str, Any],
) -> None:
    columns = {f.name: [application.get(f.name)] for f in SMALL.inputs}
    encoded = SMALL.encode(columns)
    again = {name: [value] for name, value in SMALL.application(encoded[0]).items()}
    np.testing.assert_array_equal(SMALL.encode(again), encoded)


def test_an_absent_column_is_missing_throughout() -> None:
    given_none = SMALL({f.name: [1000.0 if f.name == "amount" else None] for f in SMALL.inputs})
    np.testing.assert_array_equal(SMALL({"amount": [1000.0]}), given_none)


def test_no_columns_are_no_rows() -> None:
    assert SMALL({}).shape == (0, len(SMALL.names))


def test_a_category_is_its_place_in_the_contract() -> None:
    assert [of({"purpose": word})["purpose"] for word in ("car", "home", "other")] == [0, 1, 2]


def test_a_numeric_category_is_known_by_its_number() -> None:
    assert [of({"branch": code})["branch"] for code in (10, 20, 30)] == [0, 1, 2]


def test_a_boolean_may_be_written_in_the_words_of_the_contract() -> None:
    assert [of({"insured": word})["insured"] for word in ("Y", True, "N", False)] == [1, 1, 0, 0]


def test_a_ratio_is_its_formula() -> None:
    assert of({"amount": 5000, "income": 20000})["loan_to_income"] == 0.25


def test_a_ratio_over_zero_is_what_the_contract_says() -> None:
    assert of({"amount": 5000, "income": 0})["loan_to_income"] == 9


@pytest.mark.parametrize("missing", ["amount", "income"])
def test_a_ratio_with_a_missing_side_is_missing(missing: str) -> None:
    application = {"amount": 5000.0, "income": 0.0, missing: None}
    assert math.isnan(of(application)["loan_to_income"])


def test_a_ratio_over_zero_without_a_rule_is_missing() -> None:
    free = Features(contract(CONTRACT.replace("when_empty: 9, ", "")), "application")
    assert math.isnan(of({"amount": 5000, "income": 0}, free)["loan_to_income"])


def test_making_ratios_leaves_the_encoded_rows_as_they_are() -> None:
    encoded = SMALL.encode({"amount": [5000], "income": [0]})
    before = encoded.copy()
    SMALL.matrix(encoded)
    np.testing.assert_array_equal(encoded, before)


def test_directions_follow_the_contract_in_the_order_of_the_names() -> None:
    rising = {n for n, d in zip(SMALL.names, SMALL.directions, strict=True) if d == 1}
    assert rising == {"amount", "grade", "loan_to_income"}


def test_ordered_categories_are_quantities() -> None:
    assert {SMALL.names[j] for j in SMALL.categories} == {"purpose", "branch"}


def test_what_is_known_only_when_pricing_is_no_feature_at_application() -> None:
    assert set(SMALL.names) - set(Features(contract(), "application").names) == {"grade"}


@pytest.mark.parametrize(
    ("application", "message"),
    [
        ({"purpose": "boat"}, r"purpose must be one of \['car', 'home', 'other'\]; got 'boat'"),
        ({"branch": 40}, r"branch must be one of \[10, 20, 30\]; got 40"),
        ({"insured": "maybe"}, r"insured must be one of .*; got 'maybe' \(row 0\)"),
        ({"amount": "much"}, r"amount must be a number; got 'much' \(row 0\)"),
        ({"amount": {}}, r"amount must be a number; got {}"),
        ({"purpose": []}, r"purpose must be one of .*; got \[\]"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_is_allowed(
    application: dict[str, Any], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        of(application)


@pytest.mark.parametrize(
    ("name", "values"),
    [("purpose", ["car", None, "boat", "ship"]), ("amount", ["7", None, "boat", 8])],
)
def test_the_first_wrong_row_is_the_one_named(name: str, values: list[Any]) -> None:
    with pytest.raises(ContractError, match=r"got 'boat' \(row 2\)"):
        SMALL({name: values})


def test_whole_numbers_come_back_as_integers_and_missing_values_as_none() -> None:
    field = contract().fields["months"]
    assert (decode(field, 12.0), type(decode(field, 12.0)), decode(field, math.nan)) == (
        12,
        int,
        None,
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dataset", SHIPPED)
def test_no_feature_is_made_from_what_is_protected_or_known_only_later(
    dataset: str, mode: Mode
) -> None:
    loaded = contracts.load(dataset, ROOT / "data")
    allowed = {"application": {"application"}, "pricing": {"application", "pricing"}}[mode]
    features = Features(loaded, mode)
    read = {name for source in features.sources for name in source}
    read |= {field.name for field in features.inputs}
    assert read
    assert loaded.target.field not in read
    assert not {n for n in read if loaded.columns[n].protected}
    assert {loaded.columns[n].known_at for n in read} <= allowed


@given(
    st.sampled_from(["F", "M", None]), st.floats(0, 1e6), st.sampled_from(["repaid", "sold", None])
)
def test_protected_and_later_values_change_no_feature(
    sex: str | None, arrears: float, outcome: str | None
) -> None:
    known: dict[str, Any] = {"amount": 5000, "income": 20000, "grade": "B"}
    more = known | {"sex": sex, "arrears": arrears, "closed": "2024-01-01", "outcome": outcome}
    assert str(of(more)) == str(of(known))


@pytest.mark.parametrize("value", [1e39, 1e300, -1e300])
def test_a_number_too_large_for_32_bits_is_the_largest_that_they_hold(value: float) -> None:
    features = of({"income": value, "amount": 1000})
    assert features["income"] == math.copysign(float(np.finfo(np.float32).max), value)
    assert np.isfinite(np.float32(features["loan_to_income"]))


def test_a_ratio_that_overflows_is_the_largest_number() -> None:
    assert of({"income": 5e-324, "amount": 1e10})["loan_to_income"] == np.finfo(np.float32).max


# Missing codes with meanings


def test_a_field_with_missing_meanings_has_a_feature_that_says_why_it_is_missing() -> None:
    assert MEANT.names == (*SMALL.names, "months__missing")
    assert MEANT.categories == [*SMALL.categories, len(SMALL.names)]
    assert MEANT.sources[-1] == ("months",)
    assert MEANT.explained_by == {MEANT.names.index("months"): len(SMALL.names)}
    assert MEANT.parts[-1].title == "months: why it is missing"


@pytest.mark.parametrize(
    ("raw", "value", "reason"),
    [(12, 12, 0), (-7, None, 1), (-9, None, 2), (-9.0, None, 2), (None, None, 3)],
)
def test_each_meaning_has_a_code_of_its_own(raw: Any, value: float | None, reason: int) -> None:
    features = of({"months": raw, "amount": 1000}, MEANT)
    assert features["months__missing"] == reason
    assert features["months"] == value or (value is None and math.isnan(features["months"]))


@given(st.lists(applications(contract(MEANINGS), "pricing"), min_size=1, max_size=6))
def test_applications_and_prepared_columns_have_the_same_features(
    rows: list[dict[str, Any]],
) -> None:
    raw = {f.name: [row.get(f.name) for row in rows] for f in MEANT.inputs}
    places = {-7: 1, -9: 2}
    prepared: dict[str, Any] = dict(raw)
    months = [None if v in places else v for v in raw["months"]]
    prepared["months"] = np.array(months, dtype=np.float64)
    prepared["months__missing"] = np.array([places.get(v, 0) for v in raw["months"]], np.int8)
    together = MEANT(raw)
    np.testing.assert_array_equal(MEANT(prepared), together)
    np.testing.assert_array_equal(MEANT.encode_rows(rows), MEANT.encode(raw))
    alone = [MEANT({name: [v] for name, v in row.items()} or {"amount": [None]}) for row in rows]
    np.testing.assert_array_equal(np.vstack(alone), together)
    again = [MEANT.application(row) for row in MEANT.encode(raw)]
    columns = {f.name: [row.get(f.name) for row in again] for f in MEANT.inputs}
    np.testing.assert_array_equal(MEANT(columns), together)


@given(st.lists(applications(contract(), "pricing"), min_size=1, max_size=6))
def test_a_missing_code_without_a_meaning_is_a_missing_value(rows: list[dict[str, Any]]) -> None:
    raw = {f.name: [row.get(f.name) for row in rows] for f in SMALL.inputs}
    plain = raw | {"months": [None if v == -9 else v for v in raw["months"]]}
    np.testing.assert_array_equal(SMALL(raw), SMALL(plain))
    numbers = plain["months"]
    coded = np.array([-9.0 if v is None else v for v in numbers])
    np.testing.assert_array_equal(SMALL(raw | {"months": coded}), SMALL(plain))


def test_a_value_in_place_of_a_missing_one_has_no_meaning_any_more() -> None:
    encoded = MEANT.encode({"months": [-7]})
    encoded[0, [f.name for f in MEANT.inputs].index("months")] = 24
    assert dict(zip(MEANT.names, MEANT.matrix(encoded)[0], strict=True))["months__missing"] == 0


def test_a_wrong_value_beside_a_missing_code_is_the_one_named() -> None:
    with pytest.raises(ContractError, match=r"months must be a number; got 'soon' \(row 1\)"):
        MEANT({"months": [-7, "soon"]})
