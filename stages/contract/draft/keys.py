"""Finds the keys of raw tables: which column of the loans holds the key of another table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.draft.columns import column_names

NEARLY_UNIQUE = 0.98  # tolerates repeated rows
SOME, MANY = 0.01, 60  # share of loans of customers with several; customers, not branches
ENOUGH = 0.95


@dataclass(frozen=True)
class Link:
    """How a table is joined to the loans.

    Attributes
    ----------
    key, join : its own column, and the loans' column that holds the same values.
    share : share of the loans that find a row.
    rows : (n,) the place of each loan's row in the table, -1 for none.
    """

    key: str
    join: str
    share: float
    rows: NDArray[np.int64]


def find_link(loans: pd.DataFrame, other: pd.DataFrame, table: str) -> Link | str:
    """Return the best link from the loans to another table, or in words why there is none."""
    keys = [c for c in other.columns if is_key(other[c]) and not _conflicts(other, c)]
    pairs = [(b, k) for k in keys for b in loans.columns if b == k or _may_join(loans[b], other[k])]
    shares = {pair: float(loans[pair[0]].isin(other[pair[1]]).mean()) for pair in pairs}
    order = {pair: (round(share, 2), _match_names(*pair, table)) for pair, share in shares.items()}
    best = max(pairs, key=lambda pair: order[pair], default=None)
    if best is None or shares[best] < ENOUGH:
        shared = [c for c in other.columns if c in loans.columns and c not in keys]
        if shared:
            return (
                f"{shared[0]!r} repeats in it; declare it under `history` with what to take from "
                "its lines (docs/how-to/history.md)"
            )
        nearest = (
            f"by {best[1]!r} {shares[best]:.0%} of the loans have a row" if best else "none fits"
        )
        return f"it has no column that finds the row of a loan: {nearest}"
    join, key = best
    places = other[key].drop_duplicates()
    rows = places.index.to_numpy()[pd.Index(places).get_indexer(loans[join])]
    known = loans[join].isin(other[key]).to_numpy()
    return Link(key, join, shares[best], np.where(known, rows, -1))


def find_customer(loans: pd.DataFrame, names: list[str], key: str | None) -> tuple[str | None, str]:
    """Return the column of the loan's customer, where customers have several loans, and why.

    `names` are the identifiers among the columns of the loans, `key` is that of the loan itself.
    """
    distinct = loans if key is None else loans.drop_duplicates(key)
    for name in names:
        values = distinct[name].dropna()
        if name == key or not column_names.tells(column_names.PERSON, name) or not len(values):
            continue
        repeated = values.duplicated(keep=False)
        if values.nunique() > MANY and repeated.mean() > SOME:
            share = f"{repeated.mean():.1%} of the loans are of customers with several"
            return name, f"{share}; they stay on one side of a random split"
    return None, ""


def is_key(values: pd.Series) -> bool:
    """Return whether a column has a value in each row, and a different one in nearly each."""
    if values.dtype == object or pd.api.types.is_float_dtype(values):
        return False
    if values.isna().any() or values.eq("").any():
        return False
    named = column_names.tells(column_names.IDENTITY, str(values.name))
    return bool(values.nunique() >= (NEARLY_UNIQUE if named else 1) * len(values))


def _conflicts(rows: pd.DataFrame, key: str) -> bool:
    """Return whether rows of one key differ, so that the key identifies none of them."""
    repeated = rows[rows[key].duplicated(keep=False)].astype(str)
    return bool(repeated.drop_duplicates()[key].duplicated().any())


def _may_join(join: pd.Series, key: pd.Series) -> bool:
    """Return whether equal values are hardly chance: identifiers by name, or words with letters."""
    if all(column_names.tells(column_names.IDENTITY, str(values.name)) for values in (join, key)):
        return True
    few = join.iloc[:1000]
    return bool(pd.api.types.is_string_dtype(few) and few.str.contains("[A-Za-z]").mean() > 0.95)


def _match_names(join: str, key: str, table: str) -> int:
    """Rate how well names fit: 2 where they are equal, 1 where the loans' one names the table."""
    named = any(
        len(word) > 2 and word in table.lower() for word in column_names.words(join).split()
    )
    return 2 if join == key else int(named)
