"""Guesses how files write things: tables as text, and numbers and dates within columns."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages import files
from stages.contract.draft.columns import quantities
from stages.contract.draft.columns.column import MAX_CATEGORIES, Column, Guess
from stages.contract.fields.written_values import plain_date, plain_number
from stages.contract.raw.files import DELIMITERS, TEXTS, read_start, suffix
from stages.contract.tables import Dialect, RawTable

SAMPLE = 1 << 20  # bytes of a text file that are looked at
LINES = 200
DATES = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%b-%Y", "%b-%y", "%y-%b",
    "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d/%m/%y",
    "%m/%d/%y", "%d.%m.%y", "%m/%Y", "%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y/%m", "%y%m%d",
)  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
GROUPS = {".": (",", " ", "'"), ",": (".", " ", "'")}


def guess_table(path: Path) -> RawTable:
    """Guess the encoding, the delimiter and the header of a text file; other formats state it."""
    if suffix(path) not in TEXTS:
        return RawTable(path=path.name)
    start = read_start(path, SAMPLE)
    encoding = guess_encoding(start)
    lines = start.decode(encoding, errors="replace").removeprefix("\ufeff").splitlines()
    lines = [line for line in lines[: LINES + 1] if line.strip()][:LINES]
    delimiter = guess_delimiter(lines)
    usual = "\t" if suffix(path) == ".tsv" else ","
    first = next(csv.reader(lines[:1], delimiter=delimiter), [])
    first = lines[0].split() if delimiter == " " and lines else first
    dialect = Dialect(
        delimiter=None if delimiter == usual else delimiter,
        header=has_names(first) or len(first) < 2,
    )
    return RawTable(path=path.name, encoding=encoding, dialect=dialect)


def guess_encoding(start: bytes) -> str:
    """Return the encoding of a text that begins so: what is not Unicode is taken for cp1252."""
    if utf_16 := files.find_utf_16(start):
        return utf_16
    try:
        start.decode()
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # else a character that the sample cut
            return "cp1252"
    return "utf-8"


def has_names(columns: Iterable[object]) -> bool:
    """Return whether words that stand first in a file are names of columns, and no values."""
    return not any(str(c).strip().lstrip("+-").replace(".", "", 1).isdigit() for c in columns)


def guess_delimiter(lines: list[str]) -> str:
    """Return the character that cuts nearly all lines into the same number of values."""
    best, most = ",", 1
    for delimiter in DELIMITERS:
        sizes = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter))
        size, times = sizes.most_common(1)[0] if sizes else (1, 0)
        if size > most and times >= 0.9 * len(lines):
            best, most = delimiter, size
    sizes = Counter(len(line.split()) for line in lines)
    size, times = sizes.most_common(1)[0] if sizes else (1, 0)
    return " " if most == 1 and size > 1 and times == len(lines) else best


def describe(table: RawTable) -> str:
    """Return what a person should confirm about how a text file is written, or ""."""
    said = [] if table.encoding == "utf-8" else [f"it is not UTF-8; taken for {table.encoding}"]
    said += [] if table.dialect.header else ["its first row holds no names of columns"]
    return "; ".join(said)


def as_keys(table: RawTable) -> dict[str, Any]:
    """Return what the contract says of the file of a table."""
    return table.model_dump(by_alias=True, exclude_defaults=True)


def guess_dates(column: Column) -> Guess | None:
    """Read dates that are not written as ISO 8601; the first pattern that reads 99 % of the rows.

    A second pattern that reads as many is named as a doubt: 03/04/2021 may be March or April.
    """
    known = column.words[column.is_known]
    if not known.str.contains(r"\d").all():
        return None
    few, fitting = known.iloc[:2000], []
    for pattern in (day + time for day in DATES for time in TIMES):
        read = pd.to_datetime(few, errors="coerce", format=pattern).notna()
        if read.mean() > 0.99 and (pattern[:6] != "%y%m%d" or few.str.match(r"\d{6}\b").all()):
            fitting.append(pattern)
    if not fitting:
        return None
    pattern = fitting[0]
    plain = column.words.map(partial(plain_date, pattern=pattern))
    days = pd.to_datetime(plain, errors="coerce", format="ISO8601")
    whole = days.to_numpy().astype("datetime64[D]")
    values = np.where(np.isnat(whole) | ~column.is_known, np.nan, whole.astype(np.float64))
    example = str(np.datetime64(int(values[column.place_of_most_frequent(~np.isnan(values))]), "D"))
    found = Guess("date", values, written={"format": pattern}, example=example)
    if len(fitting) > 1:
        found.doubts["format"] = f"{known.iloc[0]!r} may be {' or '.join(fitting[:2])}"
    return found


def guess_numbers(column: Column) -> Guess | None:
    """Read numbers with decimal commas, thousands apart, or words and signs around them."""
    known = column.words[column.is_known]
    lettered = known.str.contains(r"[^\W\d]").mean() > 0.05
    if lettered and len(known) <= MAX_CATEGORIES:
        return None  # `36 months` and `60 months` are categories
    signs = known.str.contains(r"[%$€£₹]").mean() > 0.5
    for decimal in (".", ","):
        for group in ("", *GROUPS[decimal]):
            for bare in (True, False):
                if not bare and not signs and not lettered:
                    continue
                if not _has_form(known, decimal, group):
                    continue
                read = partial(plain_number, decimal=decimal, group=group, bare=bare)
                found = _as_quantity(column, read)
                if found:
                    found.written = _words(decimal, group, bare)
                    return found
    return None


def _has_form(known: pd.Series, decimal: str, group: str) -> bool:
    """Return whether a character stands where one between thousands, or a decimal comma, would."""
    if group:
        mark = re.escape(group)
        thousands = rf"\d{mark}(?:\d{{3}}(?!\d)|\d\d{mark})"  # or 12,34,567, as in India
        others = known.str.contains(rf"\d{mark}\d") & ~known.str.contains(thousands)
        return bool(known.str.contains(thousands).any()) and not others.any()
    return decimal == "." or bool(known.str.contains(r"\d,\d").any())


def _as_quantity(column: Column, read: Callable[[str], str]) -> Guess | None:
    """Describe a column by the numbers that its words stand for; None where they do not."""
    plain = column.words.map(read)
    if not column.holds_mostly(pd.to_numeric(plain[column.is_known], errors="coerce").notna()):
        return None
    found = quantities.guess(replace(column, words=plain))
    if found is not None:
        raw = dict(zip(plain, column.words, strict=True))
        found.missing = [raw[word] for word in found.missing]
    return found


def _words(decimal: str, group: str, bare: bool) -> dict[str, str | bool]:
    """Return the contract's keys for numbers that are written in this way."""
    said: dict[str, str | bool] = {} if decimal == "." else {"decimalChar": decimal}
    said |= {"groupChar": group} if group else {}
    return said if bare else said | {"bareNumber": False}
