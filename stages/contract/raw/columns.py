"""Turn raw columns of a CSV or a Parquet file into canonical text, keys and dates."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.fields.field import Field
from stages.contract.fields.written_values import BLANKS, text
from stages.contract.schema import Contract

SEPARATOR = "\x1f"  # a character that no person writes


def as_text(raw: pd.Series) -> pd.Series:
    """Return a column as text without the blanks around it, written as a CSV file would."""
    written = raw if pd.api.types.is_string_dtype(raw) else raw.map(text)
    return written.astype("str").str.strip()


def whole_numbers(words: pd.Series) -> pd.Series:
    """Return the texts with 1.0, which files with gaps often have for an integer, written as 1."""
    return words.str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)


def key_text(frame: pd.DataFrame, columns: list[str]) -> pd.Series:
    """Return a key of one or more columns as text, NaN where one of them is blank.

    The same key has the same text whatever the types of the files: `1` in a CSV file matches 1 and
    1.0 in a Parquet file.
    """
    parts = [whole_numbers(as_text(frame[c])) for c in columns]
    blank = [frame[c].isna() | words.isin(BLANKS) for c, words in zip(columns, parts, strict=True)]
    joined = reduce(lambda left, right: left + SEPARATOR + right, parts)
    return joined.mask(reduce(pd.Series.__or__, blank))


def plain_texts(field: Field, words: pd.Series) -> pd.Series:
    """Return a column of numbers or dates in plain text, where its file writes them otherwise."""
    if field.plain_text is None or words.dtype.kind == "M":
        return words
    codes, distinct = pd.factorize(as_text(words))
    plain = np.array([*map(field.plain_text, distinct), None], dtype=object)
    return pd.Series(plain[codes], index=words.index, dtype="str")


def as_dates(raw: pd.Series) -> pd.Series:
    """Return a column of ISO 8601 text or of timestamps as datetime64[s]; NaT where it is neither.

    Timestamps with an offset are read in UTC.
    """
    values = pd.to_datetime(raw, errors="coerce", format="ISO8601", utc=True)
    return values.dt.tz_localize(None).astype("datetime64[s]")


def dates_of(contract: Contract, name: str, raw: pd.DataFrame) -> pd.Series:
    """Return a raw column of dates, read as its field says where it is one; NaT where it cannot."""
    field = contract.fields.get(name)
    return as_dates(raw[name] if field is None else plain_texts(field, raw[name]))


def months_later(dates: pd.Series, months: int) -> pd.Series:
    """Return the same days of the month, `months` later; the last day of a shorter month."""
    days = dates.dt.floor("D")
    later: pd.Series = days + pd.DateOffset(months=months)
    return later


def outcome_known(
    days: NDArray[np.datetime64], contract: Contract
) -> NDArray[np.datetime64] | None:
    """Return the day on which the outcome of each loan of these days (n,) was known.

    It is None where the contract does not say how long an outcome takes.
    """
    if contract.outcome is None:
        return None
    ends = months_later(pd.Series(days), contract.outcome.months)
    return ends.to_numpy().astype("datetime64[D]")


def text_codes(words: pd.Series) -> NDArray[np.int64]:
    """Return the code (n,) of each distinct text, or of its hash; each missing one has another."""
    codes = pd.factorize(words)[0].astype(np.int64)
    blank = codes < 0
    codes[blank] = codes.max(initial=0) + 1 + np.arange(blank.sum())
    return codes
