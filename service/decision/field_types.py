"""Make pydantic's types from the fields of a contract."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator
from pydantic import Field as Key
from pydantic_core import PydanticCustomError

from stages.contract.fields.field import Field

EXACT = 2.0**53
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
LONGEST = 200  # characters of a text


def value_type(field: Field) -> Any:
    """Return the type that a field's values have in a request."""
    low, high = field.constraints.minimum, field.constraints.maximum
    if field.other is not None:
        return Annotated[str, Key(strict=True, min_length=1, max_length=LONGEST)]
    if field.codes:
        return Annotated[Literal[tuple(field.codes)], BeforeValidator(one_of({*field.codes}))]
    if field.type == "integer":
        # Beyond 2^53 a whole number has no float of its own.
        low = -EXACT if low is None else low
        high = EXACT if high is None else high
        return Annotated[int, Key(strict=True, ge=low, le=high), BeforeValidator(whole)]
    if field.type == "number":
        return Annotated[float, Key(strict=True, allow_inf_nan=False, ge=low, le=high)]
    if field.type == "date":
        return Annotated[str, Key(strict=True, pattern=DATE), AfterValidator(calendar_day)]
    return Annotated[str, Key(strict=True, max_length=LONGEST)]


def missing_code_type(field: Field) -> Any:
    """Return the type of the codes that a request may have in place of a missing value."""
    codes = field.missing_codes
    meanings = [*field.missing_meanings.values()]
    words = [f"{c}: {meanings[place - 1] if place else 'missing'}" for c, place in codes.items()]
    known: object = Literal[tuple(codes)]

    def check(value: object) -> object:
        # A Literal of Python takes True for 1, and not -9.0 for -9.
        same = None if isinstance(value, bool) else next((c for c in codes if c == value), None)
        return value if same is None else same

    return Annotated[known, BeforeValidator(check), Key(description="; ".join(words))]


def part_of(field: Field, needed: bool) -> tuple[Any, Any]:
    """Return the type of a field in a request, which may be null unless `needed`, and its words."""
    unit = f" ({field.unit})" if field.unit else ""
    about = Key(
        default=... if needed else None,
        title=f"{field.title or field.name}{unit}",
        description=field.help or None,
        examples=None if field.example is None else [field.example],
    )
    accepted = value_type(field)
    if field.missing_codes:
        accepted = accepted | missing_code_type(field)
    return (accepted if needed else accepted | None, about)


def one_of(values: Collection[object]) -> Callable[[object], object]:
    """Return a check that tells 1 from true, which a `Literal` of Python does not."""
    types = {type(v) for v in values}

    def check(value: object) -> object:
        if type(value) not in types:
            raise PydanticCustomError("literal_error", "one of the values")
        return value

    return check


def whole(value: object) -> object:
    """Return a whole number that was written as 5.0 as an integer."""
    return int(value) if type(value) is float and value.is_integer() else value


def calendar_day(text: str) -> str:
    """Return the text of a day that is in the calendar; raises ValueError for another."""
    date.fromisoformat(text)
    return text


def example_value(field: Field) -> object:
    """Return a value for a required field whose contract gives no example."""
    if field.codes:
        return next(iter(field.codes))
    low = field.constraints.minimum or 0.0
    return low if field.type == "number" else int(low) if field.type == "integer" else "2000-01-01"
