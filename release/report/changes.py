"""What differs between two nested mappings: parameters, policies, quality reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Change(NamedTuple):
    """A leaf by its dotted name, before and after; None where it is absent."""

    name: str
    before: Any
    after: Any


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings by dotted name; lists are leaves."""
    if isinstance(value, dict) and value:
        for key, own in value.items():
            yield from flat(own, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value


def changes(before: Any, after: Any) -> list[Change]:
    """The leaves that differ, in order of first appearance."""
    old, new = dict(flat(before)), dict(flat(after))
    return [
        Change(name, old.get(name), new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]
