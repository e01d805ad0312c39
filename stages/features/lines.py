"""The lines of histories as arrays, from the applications of requests and from prepared data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.contract.fields.field import Field
from stages.contract.tables import History
from stages.features.aggregates import Floats, HistoryLines
from stages.features.encoding import Values, codes_of, decode

Application = Mapping[str, Any]


def lines_of_applications(history: History, lists: Values) -> HistoryLines:
    """Return the lines of n applications, each a list of lines, or None where nothing is known."""
    counts = [len(lines or ()) for lines in lists]
    flat = [line for lines in lists for line in lines or ()]
    columns = {
        name: _encode(field, [line.get(name) for line in flat])
        for name, field in history.readable.items()
    }
    owner = np.repeat(np.arange(len(lists)), counts)
    unknown = np.array([lines is None for lines in lists], dtype=np.bool_)
    return HistoryLines(len(lists), owner, columns[history.date], columns, unknown)


def _encode(field: Field, values: list[Any]) -> Floats:
    """Return the values of a field as numbers, NaN where one is missing."""
    codes, missing = codes_of(field), field.missing_codes
    if missing:
        values = [None if value in missing else value for value in values]
    if codes:
        values = [None if value is None else codes[value] for value in values]
    return np.array(values, dtype=np.float64)


def lines_of_rows(
    history: History, owner: NDArray[np.intp], columns: Mapping[str, Values], count: int
) -> HistoryLines:
    """Return the lines of `count` prepared rows: their owners, ascending, and raw columns."""
    encoded = {
        name: values
        if isinstance(values := columns[name], np.ndarray)
        else _encode(field, [*values])
        for name, field in history.readable.items()
    }
    return HistoryLines(
        count, owner, encoded[history.date], encoded, np.zeros(count, dtype=np.bool_)
    )


def as_requests(history: History, lines: HistoryLines) -> list[list[dict[str, Any]]]:
    """Return the lines of each of n applications as a request would write them."""
    names = list(history.readable)
    written = [
        [decode(history.fields[name], value) for value in lines.columns[name].tolist()]
        for name in names
    ]
    out: list[list[dict[str, Any]]] = [[] for _ in range(lines.count)]
    for owner, *values in zip(lines.owner.tolist(), *written, strict=True):
        stated = zip(names, values, strict=True)
        out[owner].append({name: value for name, value in stated if value is not None})
    return out
