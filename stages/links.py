"""Keys between raw tables: which column of the loans finds its row in another table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages import naming

NEARLY = 0.98  # tolerates repeated rows
FOUND = 0.95


@dataclass(frozen=True)
class Link:
    """How a table is joined to the loans.

    Attributes
    ----------
    key, join : its own column, and the loans' column that holds the same values.
    found : share of the loans that find a row.
    rows : (n,) the place of each loan's row in the table, -1 for none.
    """

    key: str
    join: str
    found: float
    rows: NDArray[np.int64]


def link(loans: pd.DataFrame, other: pd.DataFrame) -> Link | str:
    """The best link from the loans to another table, or in words why there is none."""
    keys = [c for c in other.columns if is_key(other[c])]
    if not keys:
        shared = sorted(set(loans.columns) & set(other.columns))
        return (
            f"no column has one row for each value{f' ({shared[0]!r} repeats)' if shared else ''}"
        )
    pairs = [(b, k) for k in keys for b in loans.columns if b == k or _is_word(loans[b], b)]
    shares = {(b, k): float(loans[b].isin(other[k]).mean()) for b, k in pairs}
    best = max(shares, key=lambda p: (round(shares[p], 2), p[0] == p[1]), default=None)
    if best is None or shares[best] < FOUND:
        most = f"{shares[best]:.0%} of the loans have a row by {best[1]!r}" if best else "none fits"
        return f"no column of the loans is contained in its keys {keys}: {most}"
    join, key = best
    places = other[key].drop_duplicates()
    rows = places.index.to_numpy()[pd.Index(places).get_indexer(loans[join])]
    known = loans[join].isin(other[key]).to_numpy()
    return Link(key, join, shares[best], np.where(known, rows, -1))


def is_key(values: pd.Series) -> bool:
    """Whether a column has a value in each row, and nearly each time another."""
    if pd.api.types.is_float_dtype(values) or values.isna().any() or values.eq("").any():
        return False
    named = naming.tells(naming.IDENTITY, str(values.name))
    return bool(values.nunique() >= (NEARLY if named else 1) * len(values))


def _is_word(values: pd.Series, name: str) -> bool:
    """Whether equal values cannot be chance: identifiers by name, or words with letters."""
    if naming.tells(naming.IDENTITY, name):
        return True
    few = values.iloc[:1000]
    return bool(pd.api.types.is_string_dtype(few) and few.str.contains("[A-Za-z]").mean() > 0.95)
