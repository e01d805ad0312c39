"""The lines of histories in a request: their types, and what is wrong with one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, create_model
from pydantic import Field as Key

from service.decision.field_types import example_value, missing_code_type, value_type
from service.decision.problems import Problem, allowed_values, as_text, clip, quote, rule_of
from stages.contract.derived import Aggregate
from stages.contract.fields.field import Field
from stages.contract.schema import Contract, Mode
from stages.contract.tables import History


def histories_read(contract: Contract, mode: Mode) -> list[str]:
    """Return the names of the histories whose lines a model of this mode reads."""
    read = {f.of for f in contract.inputs(mode) if isinstance(f, Aggregate)}
    return [name for name in contract.history if name in read]


def lines_type(name: str, history: History) -> tuple[Any, Any]:
    """Return the type of the lines of a history in a request, and what is said about them."""
    fields: dict[str, Any] = {n: _part(history, f) for n, f in history.fields.items()}
    forbid = ConfigDict(extra="forbid")
    word = name.title().replace("_", "")
    line: Any = create_model(f"{word}Line", __config__=forbid, **fields)
    lines: Any = Annotated[list[line], Key(max_length=history.max_lines)]
    about = Key(
        default=None if history.optional else ...,
        title=history.title or name,
        description=(
            f"Any number of lines, up to {history.max_lines:,}; an empty list where there are none."
            f" Lines count where their {history.date} is before the day of the decision."
        ),
    )
    return (lines | None if history.optional else lines, about)


def example_line(history: History) -> dict[str, Any]:
    """Return a line of the contract's examples."""
    return {
        name: example_value(field) if field.example is None else field.example
        for name, field in history.fields.items()
        if field.example is not None or _is_required(history, field)
    }


def problem_of_line(history: History, name: str, error: Mapping[str, Any]) -> Problem:
    """Return what is wrong with the lines of a history: with which one, from 0, and which field."""
    place, got = error["loc"][1:], quote(error["input"])
    if error["type"] == "missing" and not place:
        allowed = "a list of lines, [] where there are none"
        return Problem(name, f"{name} is required: {allowed}", allowed, None, "missing")
    if not place or isinstance(place[0], str):
        allowed = f"a list of at most {history.max_lines:,} lines"
        if error["type"] == "too_long":
            got = f"{len(error['input']):,} lines"
        return Problem(name, f"{name} must be {allowed}; got {as_text(got)}", allowed, got, "type")
    where = f"{name}[{place[0]}]"
    if len(place) == 1:
        allowed = f"a JSON object with {', '.join(history.fields)}"
        return Problem(
            where, f"{where} must be {allowed}; got {as_text(got)}", allowed, got, "type"
        )
    at = f"{where}.{clip(str(place[1]))}"
    field = history.fields.get(str(place[1]))
    if field is None:
        allowed = f"one of {', '.join(history.fields)}"
        return Problem(at, f"{at} is not a field of a line: {allowed}", allowed, got, "unknown")
    allowed = allowed_values(field) + ("" if _is_required(history, field) else ", or null")
    if error["type"] == "missing":
        return Problem(at, f"{at} is required: {allowed}", allowed, None, "missing")
    code = rule_of(field, got)
    return Problem(at, f"{at} must be {allowed}; got {as_text(got)}", allowed, got, code)


def _part(history: History, field: Field) -> tuple[Any, Any]:
    needed = _is_required(history, field)
    accepted = value_type(field)
    if field.missing_codes:
        accepted = accepted | missing_code_type(field)
    unit = f" ({field.unit})" if field.unit else ""
    about = Key(
        default=... if needed else None,
        title=f"{field.title or field.name}{unit}",
        description=field.help or None,
    )
    return (accepted if needed else accepted | None, about)


def _is_required(history: History, field: Field) -> bool:
    return field.constraints.required or field.name == history.date
