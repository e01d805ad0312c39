"""The values that may be advised: multiples of a step, in a direction, within bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.decision.advice.allowed_values import AllowedValues, codes_of, sides_of, step_of
from stages.contract.fields.field import Field


def number(**keys: Any) -> Field:
    return Field.model_validate({"type": "number", **keys})


@pytest.mark.parametrize(
    ("actionable", "now", "expected"),
    [("increase", 1.0, [2, 3]), ("decrease", 1.0, [0]), ("any", 1.0, [0, 2, 3])],
)
def test_a_category_changes_in_its_direction(
    actionable: Any, now: float, expected: list[int]
) -> None:
    enum = {"ordered": True, "constraints": {"enum": ["a", "b", "c", "d"]}}
    field = Field.model_validate({"type": "string", "actionable": actionable, **enum})
    assert codes_of(field, now).tolist() == expected


@pytest.mark.parametrize(
    ("actionable", "expected"), [("increase", (1,)), ("decrease", (-1,)), ("any", (-1, 1))]
)
def test_a_number_changes_in_its_direction(actionable: Any, expected: tuple[int, ...]) -> None:
    assert sides_of(number(actionable=actionable)) == expected


def test_a_field_at_its_bound_has_no_values() -> None:
    field = number(actionable="decrease", constraints={"minimum": 0.0}, step=1.0)
    assert AllowedValues(field, 0.0, -1).count == 0


def test_values_are_multiples_of_the_step_as_a_person_writes_them() -> None:
    field = number(step=0.1, constraints={"minimum": 0.0, "maximum": 0.9})
    values, whole = AllowedValues(field, 0.25, 1).within(math.inf, 100)
    assert values.tolist() == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert whole
    assert AllowedValues(field, 0.3, -1).within(math.inf, 100)[0].tolist() == [0.2, 0.1, 0.0]


def test_no_value_changes_its_sign_where_the_contract_sets_no_bound() -> None:
    assert AllowedValues(number(step=5.0), 12.0, -1).within(math.inf, 9)[0].tolist() == [10, 5, 0]


def test_the_denominator_of_a_ratio_is_never_0() -> None:
    allowed = AllowedValues(number(step=5.0), 12.0, -1, denominator=True)
    assert allowed.within(math.inf, 9)[0].tolist() == [10, 5]


def test_both_neighbours_of_every_place_are_asked_about() -> None:
    field = number(step=10.0, constraints={"minimum": 0.0, "maximum": 1e6})
    near = AllowedValues(field, 12.0, 1).near(np.array([[95.0, 1234.5, 500.0]]))[0].tolist()
    assert {20, 90, 100, 490, 500, 510, 1230, 1240, 1e6} == {*near}


@pytest.mark.parametrize(
    ("keys", "now", "step"),
    [({}, 54321.0, 100), ({}, 0.0321, 0.0001), ({"type": "integer"}, 54321.0, 1), ({}, 0.0, 1)],
)
def test_without_a_step_three_digits_are_named(keys: Any, now: float, step: float) -> None:
    assert step_of(number(**keys), now) == step
