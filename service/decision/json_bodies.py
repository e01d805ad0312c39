"""Read JSON bodies."""

from __future__ import annotations

import json

from pydantic_core import from_json

from service.decision.problems import clip


class NotJSON(ValueError):
    """A body cannot be read as JSON; the message says where."""


def decode(body: bytes) -> object:
    """Return the JSON value of a body; raises NotJSON, also where an object has a key twice.

    NaN and Infinity are read: their fields refuse them by name.
    """
    try:
        value: object = from_json(body, cache_strings="keys")
    except ValueError as error:
        raise NotJSON(f"the body must be JSON (UTF-8): {error}") from None
    # Each key has a colon. Where there are more, they stand in texts, or keys were lost.
    if body.count(b":") != count_keys(value):
        json.loads(body, object_pairs_hook=_refuse_repeated_keys)
    return value


def unwrap(value: object, name: str) -> object:
    """Return the value that BentoML's clients send under the name of an argument, or the value."""
    return value[name] if isinstance(value, dict) and value.keys() == {name} else value


def count_keys(value: object) -> int:
    """Return the number of keys of a JSON value and of all objects in it."""
    if isinstance(value, dict):
        return len(value) + sum(count_keys(v) for v in value.values() if type(v) in (dict, list))
    if isinstance(value, list):
        return sum(count_keys(v) for v in value if type(v) in (dict, list))
    return 0


def _refuse_repeated_keys(pairs: list[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise NotJSON(f"the body has the field {clip(key)} twice in one object")
        seen.add(key)
