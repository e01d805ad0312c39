"""Word what is wrong with a value: what is allowed and what came, short enough to repeat."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from stages.contract.derived import Check
from stages.contract.fields.field import Field

SHOWN = 60  # characters of a refused value that are repeated in the answer


class Problem(NamedTuple):
    """What is wrong with one field; `field` is "" where the whole body is wrong."""

    field: str
    message: str
    allowed: str
    got: object
    code: str = ""
    """The kind of problem in one word for programs; "" where the answer's status says it."""


def allowed_values(field: Field) -> str:
    """Return in words what a field's value may be, and the codes that stand for a missing one."""
    if not field.missing_codes:
        return allowed_by_type(field)
    meanings = ["missing", *field.missing_meanings.values()]
    codes = [f"{as_text(code)} ({meanings[place]})" for code, place in field.missing_codes.items()]
    return f"{allowed_by_type(field)}, or {', '.join(codes)}"


def allowed_by_type(field: Field) -> str:
    """Return in words what a field's value may be where there is one."""
    if field.other is not None:
        return "a text of 1 to 200 characters"
    if field.codes:
        return f"one of {', '.join(map(as_text, field.codes))}"
    if field.type in ("string", "date"):
        return "a date YYYY-MM-DD" if field.type == "date" else "a text of at most 200 characters"
    low, high = field.constraints.minimum, field.constraints.maximum
    noun = "a whole number" if field.type == "integer" else "a number"
    unit = f" {field.unit}" if field.unit else ""
    if low is not None and high is not None:
        return f"{noun} from {low:.15g} to {high:.15g}{unit}"
    if low is not None or high is not None:
        return f"{noun} {f'from {low:.15g}' if low is not None else f'up to {high:.15g}'}{unit}"
    return f"{noun}{unit}"


def contradiction(check: Check, application: Mapping[str, Any]) -> Problem:
    """Return the problem of a rule between fields that is broken, at the rule's first field."""
    came = ", ".join(f"{name} {as_text(application.get(name))}" for name in check.parsed.fields)
    message = f"{check.message}: must keep {check.rule}; got {came}"
    return Problem(
        check.parsed.left, message, check.rule, application.get(check.parsed.left), "contradiction"
    )


def rule_of(field: Field, got: object) -> str:
    """Return the name of the rule of a field that a refused value broke."""
    if got is None:
        return "missing"
    if field.codes:
        return "category"
    if not field.is_numeric or isinstance(got, bool) or not isinstance(got, int | float):
        return "type"
    return "bounds" if field.type == "number" or got == int(got) else "type"


def quote(value: object) -> object:
    """Return a refused value as an answer may repeat it: short, and possible in JSON."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and not isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 53):
        return value
    if isinstance(value, str):
        return clip(value)
    if isinstance(value, int):
        return f"a number of {value.bit_length()} bits"
    return "an object" if isinstance(value, dict) else "a list"


def clip(text: str) -> str:
    """Return the beginning of a text from outside, without control characters."""
    text = re.sub(r"[\x00-\x1f\x7f]", "?", text[: SHOWN + 1])
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def as_text(value: object) -> str:
    """Return a scalar as JSON would write it, but a text without quotes."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
