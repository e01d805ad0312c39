"""What a source answers: the lines of keys, or why it has none to give."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from stages.contract.tables import FeatureSource

Key = tuple[str, ...]
Line = dict[str, Any]
Wanted = Mapping[str, Collection[Key]]
"""The keys whose lines are wanted, by history."""


class SourceError(ValueError):
    """A source gives no lines now; `field` is the history, and `code` says what kind of fault."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field, self.code = field, code


class SourceAway(SourceError):
    """A source does not answer; `detail` is for the operator, as it may name hosts."""

    def __init__(self, field: str, reason: str, detail: str = "") -> None:
        super().__init__(field, "source_unavailable", f"{field} is not fetched: {reason}")
        self.detail = " ".join(detail.split())


class FetchedLines(NamedTuple):
    """The lines of each key that a source knows, as a request states them, and their age."""

    lines: dict[Key, list[Line]]
    as_of: dict[Key, datetime]


class Reader(Protocol):
    """Reads lines from sources of one kind."""

    def read(self, wanted: Wanted) -> dict[str, FetchedLines]:
        """Return the lines of keys by history; raises SourceError."""

    def close(self) -> None:
        """Close the connections."""


def require_fresh(name: str, source: FeatureSource, as_of: datetime | None) -> datetime:
    """Return the time of a load; raises SourceError where it is too long ago, or not known."""
    if as_of is not None and datetime.now(UTC) - as_of <= source.oldest:
        return as_of
    known = f"was loaded at {as_of:%Y-%m-%d %H:%M} UTC" if as_of else "states no time of a load"
    raise SourceError(
        name,
        "source_stale",
        f"{name} is too old to decide by: {source.table} {known}, and at most {source.max_age} "
        "are allowed",
    )
