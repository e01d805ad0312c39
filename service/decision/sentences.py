"""Word what is true of an applicant's value of one feature, in the contract's sentences.

A number is high or low where it lies outside the usual range of approved applicants. On the
favourable side, inside the range and without a range no sentence claims a direction, nor where the
model would not think better of a usual value.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from stages.contract.derived import Derived
from stages.contract.fields.field import Field
from stages.contract.fields.written_values import text as written

SIGNIFICANT = 4  # digits of a quoted number
MOST_PLACES = 15  # of decimals
FOR_LESS = "counted less in favour of this application than is usual for approved applicants"


class UsualRange(NamedTuple):
    """The usual range of approved applicants, its ends included."""

    low: float
    high: float


class Sentences:
    """The sentences about one field or ratio."""

    def __init__(self, part: Field | Derived, usual: UsualRange | None) -> None:
        self._title, self._unit, self._words = part.title or part.name, part.unit, part.reason
        self._usual = usual
        self._missing = self._word_missing(part)
        self._names: dict[float, str] = {}
        self._categories: dict[float, str] = {}
        if isinstance(part, Field) and part.codes:
            self._names = {code: name_of(part, code) for code in part.codes.values()}
            self._categories = {part.codes[v]: s for v, s in part.reason.categories.items()}
        title = self._title
        self._high, self._low = self._words.high, self._words.low
        if not (self._high or self._low):
            self._high = f"{title}: higher than is usual for approved applicants"
            self._low = f"{title}: lower than is usual for approved applicants"
            # On the side that lowers the risk, no direction is claimed.
            self._high = "" if part.risk == "decreasing" else self._high
            self._low = "" if part.risk == "increasing" else self._low

    def missing(self, meaning: int = 0) -> str:
        """Return the sentence for a missing value, and for its meaning's place in the contract."""
        return self._missing[meaning if meaning < len(self._missing) else 0]

    def find_sentence(self, value: float, directed: bool) -> str:
        """Return the sentence for the side or the category of a value; "" where there is none.

        `directed` tells whether a number may be called high or low.
        """
        if self._names:
            return self._categories.get(value, "")
        if self._usual is None or not directed:
            return ""
        if value > self._usual.high and self._high:
            return self._high + self._compare(value, self._usual.high, "at most {}")
        if value < self._usual.low and self._low:
            return self._low + self._compare(value, self._usual.low, "{} or more")
        return ""

    def undirected_sentence(self, value: float | None, against: bool) -> str:
        """Return a sentence without a direction, which is true of every value.

        `against` tells whether the value raised the risk above the expected one.
        """
        shown = ""
        if value is not None and self._names:
            shown = f" ({self._names[value]})"
        elif value is not None and self._words.quote:
            shown = f" ({self._with_unit(digits(value))})"
        effect = "counted against this application" if against else FOR_LESS
        return f"{self._title}{shown} {effect}"

    def _compare(self, value: float, end: float, usual: str) -> str:
        """Return the value beside the end of the usual range, where the contract allows it."""
        if not self._words.quote:
            return ""
        bound = usual.format(digits(end))
        shown = self._with_unit(digits(value, apart_from=end))
        return f" ({shown}; approved applicants usually have {bound})"

    def _with_unit(self, number: str) -> str:
        return f"{number} {self._unit}" if self._unit else number

    def _word_missing(self, part: Field | Derived) -> list[str]:
        """Return the sentences for a value that is missing without a meaning, and with each."""
        words = part.reason.missing
        plain = words if isinstance(words, str) and words else f"{self._title}: not known"
        meanings = part.missing_meanings if isinstance(part, Field) else {}
        by_code = words if isinstance(words, dict) else {}
        return [plain, *(by_code.get(c) or f"{self._title}: {m}" for c, m in meanings.items())]


def name_of(field: Field, code: float) -> str:
    """Return the value of a category or boolean as people read it."""
    if field.is_boolean:
        return "yes" if code else "no"
    return next(written(value) for value, stated in field.codes.items() if stated == code)


def digits(value: float, apart_from: float | None = None) -> str:
    """Return a number with four significant digits, or as many as tell it from another one."""
    if value == int(value):
        return f"{int(value):,}"
    places = max(0, SIGNIFICANT - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    while float(text.replace(",", "")) == apart_from and places < MOST_PLACES:
        places += 1
        text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
