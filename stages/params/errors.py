"""Say what is wrong in params.yaml: the place, what is allowed, and what came."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from stages.contract.fields.written_values import allowed_words


class ParamsError(ValueError):
    """A parameter is wrong; the message names it, says what is allowed, and what it is."""


def explain(path: Path, errors: list[ErrorDetails], model: type[BaseModel]) -> list[str]:
    """Return a line for each wrong key, such as `params.yaml: train.lightgbm.trees: ...`.

    Where a key allows one type or another, pydantic has an error for each: they share a line.
    """
    lines: dict[str, str] = {}
    for error in errors:
        *sections, last = error["loc"] or ("",)
        keys = [key for key in sections if isinstance(key, int) or key.isidentifier()]
        if error["type"] == "extra_forbidden" or isinstance(last, int) or last.isidentifier():
            keys.append(last)  # else the name of a validator
        place = ".".join(map(str, keys))
        whole = error["type"] == "value_error" and isinstance(error["input"], dict)
        got = "" if whole or error["type"] == "missing" else f"; got {error['input']!r}"
        problem = error["msg"].removeprefix("Value error, ") + got + near_word(error)
        if error["type"] == "extra_forbidden":
            problem = describe_unknown(keys, model)
        if place in lines:
            lines[place] = lines[place].removesuffix(got) + ", or: " + problem
        else:
            lines[place] = f"{path}: {place}: {problem}"
    return [*lines.values()]


def describe_unknown(keys: list[str | int], model: type[BaseModel]) -> str:
    """Return the message about a key that its section does not have."""
    section: Any = model
    for key in keys[:-1]:
        fields = getattr(section, "model_fields", None)
        section = fields[key].annotation if fields else get_args(section)[-1]  # of a list, a dict
        if isinstance(section, UnionType):
            section = next(part for part in get_args(section) if hasattr(part, "model_fields"))
    allowed = list(section.model_fields)
    return f"unknown parameter; known are {', '.join(allowed)}{nearest(str(keys[-1]), allowed)}"


def near_word(error: ErrorDetails) -> str:
    """Return the end of a message about a word that is not among those allowed, or ''."""
    return nearest(str(error["input"]), allowed_words(error))


def nearest(word: str, allowed: list[str]) -> str:
    """Return '; did you mean X?' for the allowed words that are most like a wrong one, or ''."""
    longer = [name for name in allowed if word in name.split("_")]
    close = longer or get_close_matches(word, allowed, 1)
    return f"; did you mean {' or '.join(close)}?" if close else ""
