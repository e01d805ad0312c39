"""A raw column by its distinct words, and what a contract says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from stages.contract.fields.parts import Scalar
from stages.contract.fields.written_values import BLANKS, text

Floats = NDArray[np.float64]
Type = Literal["integer", "number", "boolean", "string", "date"]

MAX_CATEGORIES = 60
MISSING = {"?", "n/a", "#n/a", "na", "nan", "null", "-", "--", ".", "missing", "not available"}


@dataclass(frozen=True)
class Column:
    """A raw column of n rows by its k distinct words, as `cleaning` will read them.

    Attributes
    ----------
    words : (k,) str. counts : (k,) rows of each.
    codes : (n,) the place of each row's word, -1 for null.
    """

    name: str
    words: pd.Series
    counts: NDArray[np.int64]
    codes: NDArray[np.int64]

    @classmethod
    def of(cls, name: str, raw: pd.Series) -> Column:
        """Count the words of a raw column, which is text or of a Parquet file's own type."""
        if raw.dtype == object:  # of a Parquet file: booleans with gaps, decimals, lists
            raw = raw.map(str, na_action="ignore")
        codes, distinct = pd.factorize(raw)
        values = pd.Series(distinct)
        if values.dtype != object and not pd.api.types.is_string_dtype(values):
            values = values.map(text)
        again, words = pd.factorize(values.astype("str").str.strip())
        codes = np.append(again, -1)[codes]
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        return cls(name, pd.Series(words, dtype="str"), counts, codes)

    @cached_property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether each word (k,) is a value, and no usual way to write that it is missing."""
        lower = self.words.str.lower()
        return (~self.words.isin(BLANKS) & ~lower.isin(MISSING)).to_numpy(dtype=bool)

    @property
    def known_words(self) -> list[str]:
        """The words that are values."""
        return self.words[self.is_known].tolist()

    @property
    def known_counts(self) -> NDArray[np.int64]:
        """The number of rows of each of these words."""
        return self.counts[self.is_known]

    @property
    def most_frequent(self) -> str:
        """The most frequent word that is a value."""
        return str(self.words.iloc[self.place_of_most_frequent(self.is_known)])

    def place_of_most_frequent(self, among: ArrayLike) -> int:
        """Return the place of the most frequent of the words that `among` (k,) marks."""
        return int(np.argmax(np.where(among, self.counts, -1)))

    def holds_mostly(self, holds: ArrayLike) -> bool:
        """Return whether `holds`, stated for each known word, is true in 95 % of their rows."""
        held = self.known_counts[np.asarray(holds, dtype=bool)].sum()
        return bool(held >= 0.95 * self.known_counts.sum())

    def to_rows(self, values: ArrayLike) -> Floats:
        """Return the value of each row (n,) from that of each word (k,), NaN for null."""
        return np.append(np.asarray(values, dtype=np.float64), np.nan)[self.codes]


@dataclass
class Guess:
    """What a contract says of a column.

    Attributes
    ----------
    missing : words that mean "not known", beyond those that every contract knows.
    values : (k,) the number, code, or day (of a date) of each word; NaN where there is none.
    ordered : whether the categories go from low to high.
    other : the category of all words that are not listed; "" where every word is.
    observed : what was seen, for the comment beside the bounds.
    written : how a file writes numbers or dates, by the contract's keys; empty where it is plain.
    doubts : key of the contract → why a person should confirm it.
    unused : why the column cannot be a feature; "" where it can.
    left_out : why the contract should not name the column at all; "" where it should.
    """

    type: Type = "string"
    values: Floats = field(default_factory=lambda: np.zeros(0))
    enum: list[Scalar] | None = None
    ordered: bool = False
    other: str = ""
    repair: dict[Scalar, Scalar] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    true: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False
    example: Scalar | None = None
    observed: str = ""
    written: dict[str, str | bool] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    unused: str = ""
    left_out: str = ""


def scalar(word: str) -> Scalar:
    """Return a raw word as the contract writes it: 1.0, as files save integers with gaps, is 1."""
    if word in ("true", "false"):
        return word == "true"
    return int(float(word)) if re.fullmatch(r"(-?[1-9]\d{0,14}|0)(\.0+)?", word) else word


def is_nested(values: pd.Series) -> bool:
    """Return whether a Parquet column holds lists or structures."""
    some = values.dropna().iloc[:1].tolist() if values.dtype == object else []
    return any(isinstance(value, list | dict | np.ndarray) for value in some)
