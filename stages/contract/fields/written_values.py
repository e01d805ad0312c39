"""How files write values: missing ones, booleans, numbers and dates, each with its plain text.

The contract's words for it are those of Frictionless Table Schema: `decimalChar`, `groupChar`,
`bareNumber` and `format`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from difflib import get_close_matches

from pydantic_core import ErrorDetails

EPOCH = dt.date(1970, 1, 1).toordinal()
# Spellings of a missing value that need no declaration in the contract.
BLANKS = ("", "NA", "NaN", "nan", "null", "None")
# How Frictionless Table Schema (and pandas, and R) write booleans.
BOOLEANS = dict.fromkeys(("false", "False", "FALSE", "0"), False) | dict.fromkeys(
    ("true", "True", "TRUE", "1"), True
)
# What YAML reads as a boolean unless it stands in quotes: `bad: yes` is `bad: true`.
YAML_BOOLEANS = {
    spelt: truth
    for word, truth in (("yes", True), ("no", False), ("on", True), ("off", False))
    for spelt in (word, word.capitalize(), word.upper())
}


def text(value: object) -> str:
    """Return a scalar as a raw file would write it: 1.0 as 1, True as true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def plain_number(word: str, decimal: str = ".", group: str = "", bare: bool = True) -> str:
    """Return the number that a word writes, as Python writes numbers: `1.234,5` as `1234.5`.

    `decimal` and `group` are the characters before the fraction and between thousands. Where the
    number is not `bare`, words and signs around it are removed: `36 months`, `$1,200`, `12.5%`. A
    word that holds no number, or more than one (`1 year 3 months`), is returned as it is.
    """
    digits = rf"\d[\d{re.escape(group)}]*" if group else r"\d+"
    around = ("", "") if bare else (r"[^\d(\u2212+\-]*", r"\D*")
    number = rf"([+-]?)\s*({digits})(?:{re.escape(decimal)}(\d*))?([eE][+-]?\d+)?"
    match = re.fullmatch(around[0] + number + around[1], word)
    if match is None:
        return word
    sign, whole, fraction, power = match.groups()
    whole = whole.replace(group, "") if group else whole
    return f"{sign}{whole}{f'.{fraction}' if fraction else ''}{power or ''}"


def plain_date(word: str, pattern: str) -> str:
    """Return a date in ISO 8601 that a word writes by a pattern of `strptime`, such as `%d/%m/%Y`.

    A word that the pattern does not fit is returned as it is.
    """
    try:
        return dt.datetime.strptime(word, pattern).isoformat()
    except ValueError:
        return word


def pattern_problem(pattern: str) -> str:
    """Return what is wrong with a pattern of dates, or "": it needs a year and a month."""
    try:
        read = dt.datetime.strptime(dt.datetime(2019, 11, 28).strftime(pattern), pattern)
    except ValueError as error:
        return str(error)
    if (read.year, read.month) == (2019, 11):
        return ""
    return "needs a year and a month, such as %d/%m/%Y"


def days_of(day: str) -> float:
    """Return a date YYYY-MM-DD as the days since 1970; raises ValueError for another text."""
    return float(dt.date.fromisoformat(day).toordinal() - EPOCH)


def day_text(days: float) -> str:
    """Return the date that is so many days after 1970, written YYYY-MM-DD."""
    return dt.date.fromordinal(int(days) + EPOCH).isoformat()


def allowed_words(error: ErrorDetails) -> list[str]:
    """Return the words of which pydantic's error says that one was expected; else []."""
    if error["type"] != "literal_error":
        return []
    return re.findall(r"'([^']*)'", error["ctx"]["expected"])


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return the end of a message that names the allowed word nearest to `word`, or ""."""
    near = get_close_matches(word, list(allowed), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
