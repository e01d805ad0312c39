"""The codes of raw values: categories by their places, dates as days since 1970."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.contract.fields.field import Field, missing_column
from stages.contract.fields.parts import Scalar
from stages.contract.fields.written_values import day_text, days_of

Values = Sequence[Any] | NDArray[Any]
Columns = Mapping[str, Values]


class _Days(dict[Any, float]):
    """The code of each date, as a text or a date of Python: the days since 1970."""

    def __bool__(self) -> bool:
        return True

    def __missing__(self, day: object) -> float:
        return days_of(str(day)[:10])


def codes_of(field: Field) -> Mapping[Any, float]:
    """Return the code of each raw value of a field; empty for a number, which is its own."""
    return _Days() if field.type == "date" else field.codes


def is_encoded(field: Field, values: Values) -> bool:
    """Return whether a column has dates as days already, as prepared data has."""
    return field.type == "date" and isinstance(values, np.ndarray) and values.dtype.kind == "f"


def without_codes(values: Values, missing: Mapping[Any, int]) -> Values:
    """Return the values (n,) of a column with NaN or None in place of each missing code."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        numbers = [code for code in missing if isinstance(code, int | float)]
        return np.where(np.isin(values, numbers), np.nan, values)
    return [None if value in missing else value for value in values]


def meanings_of(field: Field, columns: Columns, n: int) -> Values:
    """Return which meaning a missing value of a field has in each row (n,), from 1; 0 for none."""
    prepared = columns.get(missing_column(field.name))
    if prepared is not None:
        return prepared
    values = columns.get(field.name, np.zeros(n))
    return [field.missing_codes.get(value, 0) for value in values]


def decode(field: Field, value: float) -> Scalar | None:
    """Return the raw value of a field for its code or number, None for NaN."""
    if value != value:  # noqa: PLR0124  (NaN)
        return None
    if field.codes:
        raw: Scalar = next(raw for raw, code in field.codes.items() if code == value)
        return raw
    if field.type == "date":
        return day_text(value)
    return int(value) if field.type == "integer" else value


def wrong_value(field: Field, values: Values) -> str:
    """Return the message about the first value of a column that its field cannot have."""
    allowed = f"one of {list(field.codes)}" if field.codes else "a number"
    allowed = "a date YYYY-MM-DD" if field.type == "date" else allowed
    wrong = (row for row, v in enumerate(values) if v is not None and not is_encodable(field, v))
    row = next(wrong)
    return f"{field.name} must be {allowed}; got {values[row]!r} (row {row})"


def is_encodable(field: Field, value: Any) -> bool:
    """Return whether a field can have a value."""
    try:
        if value in field.missing_codes:
            return True
        if field.type == "date":
            return isinstance(_Days()[value], float)
        return value in field.codes if field.codes else isinstance(float(value), float)
    except (ValueError, TypeError):
        return False
