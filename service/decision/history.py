"""The lines of histories in a request: their types, and what is wrong with one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, create_model
from pydantic import Field as Key
from pydantic_core import PydanticCustomError

from service.decision.field_types import EXACT, LONGEST, example_value, part_of
from service.decision.problems import Problem, allowed_values, as_text, clip, quote, rule_of
from stages.contract.derived import Aggregate
from stages.contract.fields.field import Field
from stages.contract.schema import Contract, Mode
from stages.contract.tables import History

KEY = f"a printable text of 1 to {LONGEST} characters, or a whole number"


def histories_read(contract: Contract, mode: Mode) -> list[str]:
    """Return the names of the histories whose lines a model of this mode reads."""
    read = {f.of for f in contract.inputs(mode) if isinstance(f, Aggregate)}
    return [name for name in contract.history if name in read]


def lines_type(name: str, history: History) -> tuple[Any, Any]:
    """Return the type of the lines of a history in a request, and what is said about them."""
    fields: dict[str, Any] = {
        n: part_of(f, _is_required(history, f)) for n, f in history.fields.items()
    }
    forbid = ConfigDict(extra="forbid")
    word = name.title().replace("_", "")
    line: Any = create_model(f"{word}Line", __config__=forbid, **fields)
    lines: Any = Annotated[list[line], Key(max_length=history.max_lines)]
    may_lack = history.optional or history.source is not None
    about = Key(
        default=None if may_lack else ...,
        title=history.title or name,
        description=(
            f"Any number of lines, up to {history.max_lines:,}; an empty list where there are none."
            f" Lines count where their {history.date} is before the day of the decision."
            f"{_fetched_words(history)}"
        ),
    )
    return (lines | None if may_lack else lines, about)


def _fetched_words(history: History) -> str:
    if not history.asked_by:
        return ""
    return f" Without them, the service fetches the lines of {', '.join(history.asked_by)}."


def keys_of(histories: Mapping[str, History], fields: Collection[str]) -> dict[str, str]:
    """Return the names of keys that are no fields, each with the titles of what it finds."""
    found: dict[str, list[str]] = {}
    for name, history in histories.items():
        for key in history.asked_by:
            found.setdefault(key, []).append(history.title or name)
    return {key: "; ".join(titles) for key, titles in found.items() if key not in fields}


def key_type(name: str, titles: str) -> tuple[Any, Any]:
    """Return the type of a key by which lines are fetched, and what is said about it."""
    about = Key(
        default=None,
        title=f"Key {name}",
        description=f"By it the service fetches what the request does not state: {titles}",
    )
    return (Annotated[str | int, BeforeValidator(_checked_key)] | None, about)


def _checked_key(value: object) -> object:
    if not is_key(value):
        raise PydanticCustomError("key", "a key")
    return value


def is_key(value: object) -> bool:
    """Tell whether a value may name a key: what cannot be printed never reaches a database."""
    if isinstance(value, str):
        return 1 <= len(value) <= LONGEST and value.isprintable()
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= EXACT


def key_of(name: str, history: History, row: object) -> tuple[str, ...] | None:
    """Return the key by which a row asks for the lines of a history; None where it does not."""
    if not history.asked_by or not isinstance(row, dict) or row.get(name) is not None:
        return None
    parts = [row.get(part) for part in history.asked_by]
    return tuple(map(str, parts)) if all(map(is_key, parts)) else None


def lacking_lines(
    histories: Mapping[str, History], application: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield a problem for each history whose lines are neither stated nor fetched."""
    for name, history in histories.items():
        if history.source and not history.optional and application.get(name) is None:
            by = " and ".join(history.asked_by)
            allowed = f"a list of lines, or {by}, by which the service fetches them"
            yield Problem(name, f"{name} is required: {allowed}", allowed, None, "missing")


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


def _is_required(history: History, field: Field) -> bool:
    return field.constraints.required or field.name == history.date
