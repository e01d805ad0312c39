"""Read the values of files and tables as the contract says, one value at a time."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from datetime import date

from stages.contract.fields.field import Field
from stages.contract.fields.written_values import BOOLEANS, text
from stages.contract.tables import History

DAY = 10  # characters of a date
TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d")


def value_reader(field: Field) -> Callable[[object], object]:
    """Return a function that converts a field's value in a file to its value in a request.

    The function returns a value that it cannot convert as it is, so that the contract refuses it.
    """
    missing = {text(value) for value in field.missing_values}
    meant = {text(code): code for code in field.missing_meanings}
    repaired = {text(wrong): right for wrong, right in field.repair.items()}
    words = (BOOLEANS if field.is_boolean else {}) | {text(v): v for v in field.codes}
    numeric, is_date = field.type in ("integer", "number"), field.type == "date"
    plain = field.plain_text

    def read(value: object) -> object:
        if value is None or value != value:  # noqa: PLR0124  (NaN)
            return None
        if plain and isinstance(value, str) and value not in missing:
            value = plain(value)
        value = number(value) if numeric else as_day(value) if is_date else value
        word = text(value) if words or missing or repaired else ""
        if word in missing:
            return meant.get(word)
        if word in repaired:
            return repaired[word]
        if words:
            return words.get(word, value if field.other is None else word)
        return value if numeric else str(value)

    return read


def lines_reader(history: History) -> Callable[[object], object]:
    """Return a function that reads the lines of a history: nested rows, or a text of JSON."""
    readers = {name: value_reader(field) for name, field in history.fields.items()}

    def read(value: object) -> object:
        with contextlib.suppress(ValueError):
            value = json.loads(value) if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(line, dict) for line in value):
            return value
        stated = ({n: v for n, v in line.items() if v is not None} for line in value)
        return [{n: readers.get(n, number)(v) for n, v in line.items()} for line in stated]

    return read


def as_day(value: object) -> object:
    """Return the day of a date or of a time as a request states it; another value as it is."""
    if isinstance(value, date):  # also one with a time
        return value.isoformat()[:DAY]
    return value[:DAY] if isinstance(value, str) and TIME.match(value) else value


def number(value: object) -> object:
    """Return the number that a text states, or the value itself where it states none."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value
