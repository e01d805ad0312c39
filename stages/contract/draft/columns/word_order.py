"""Finds the order of categories whose words tell one: grades, classes of years, low to high."""

from __future__ import annotations

import re

from stages.contract.draft.columns import column_names

SCALES = (
    ("very low", "low", "medium", "moderate", "average", "high", "very high"),
    ("very poor", "poor", "fair", "average", "good", "very good", "excellent"),
    ("very small", "small", "medium", "large", "very large"),
    ("none", "little", "moderate", "quite rich", "rich"),
    ("none", "primary", "secondary", "vocational", "bachelor", "master", "doctorate"),
)
GRADED = re.compile(r"grade|rating|class|tier|band|bucket|risk|level")
GRADE = re.compile(r"([A-Z])([1-9]?)")
SIGN, LINK = r"([<>≤≥]?=?)", r"(?:(-|to|\+|plus)\s*(\d+)?)?"
RANGE = re.compile(rf"{SIGN}\s*(\d+)\s*{LINK}\s*([a-z]*)", re.IGNORECASE)
BELOW, ABOVE = {"<", "<=", "≤"}, {">", ">=", "≥"}


def find_order(name: str, enum: list[str]) -> list[str]:
    """Return the categories from the lowest to the highest; empty where their words tell no order.

    `name` is the column's: single letters are grades in a column that says so, and else codes.
    """
    if len(enum) < 3:
        return []
    for order in (_by_scale, _by_numbers):
        ranks = order(enum)
        if ranks:
            return sorted(enum, key=lambda word: ranks[word])
    grades = all(GRADE.fullmatch(word) for word in enum)
    return sorted(enum) if grades and column_names.tells(GRADED, name) else []


def _by_scale(enum: list[str]) -> dict[str, tuple[float, ...]]:
    """Return the rank of each word on one of the usual scales; empty where one is on none."""
    spelling = {word: re.sub(r"[\s_-]+", " ", word.strip().lower()) for word in enum}
    for scale in SCALES:
        if set(spelling.values()) <= set(scale):
            return {word: (float(scale.index(plain)),) for word, plain in spelling.items()}
    return {}


def _by_numbers(enum: list[str]) -> dict[str, tuple[float, ...]]:
    """Return the rank of each range of numbers: `< 1 year`, `1 year`, `2-5 years`, `10+ years`.

    Empty where a word is none, where all are plain numbers, which may be codes, or where two ranges
    are of different units.
    """
    found = {word: RANGE.fullmatch(word.strip()) for word in enum}
    if not all(found.values()):
        return {}
    parts = {word: match.groups() for word, match in found.items() if match}
    units = {unit.lower().removesuffix("s") for *_, unit in parts.values()} - {""}
    ranges = [word for word, (sign, _, link, *_) in parts.items() if sign or link]
    if len(units) > 1 or not ranges:
        return {}
    return {word: _rank(*groups[:4]) for word, groups in parts.items()}


def _rank(sign: str, first: str, link: str | None, last: str | None) -> tuple[float, ...]:
    """Return what orders a range: its first number, below it or above, open or not, its last."""
    side = -1.0 if sign in BELOW else float(sign in ABOVE)
    is_open = float(side > 0 or link in ("+", "plus"))
    return float(first), side, is_open, float(last or first)
