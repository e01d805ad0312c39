"""Propose what applicants are told about the values of a field that may count against them."""

from __future__ import annotations

from typing import Any

from stages.contract.draft import column_names
from stages.contract.draft.book import DraftField

WORDED = 12  # categories that each get words of their own


def propose_words(part: DraftField) -> dict[str, Any]:
    """Return the `reason` of a drafted field; empty where the default wording is adequate."""
    title = column_names.title(part.name)
    if part.guess.enum and len(part.guess.enum) <= WORDED:
        return {"categories": {value: f"{title}: {value}" for value in part.guess.enum}}
    if part.guess.enum or part.guess.type not in ("integer", "number"):
        return {}
    sides = {"high": "higher", "low": "lower"}
    if part.risk:  # the bad rate goes in one direction: the other side is the favourable one
        sides.pop("low" if "increasing" in part.risk else "high")
    return {side: f"{title}: {word} than is usual" for side, word in sides.items()}
