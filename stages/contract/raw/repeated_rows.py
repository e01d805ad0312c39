"""Find and drop the base rows that repeat another, or whose key has several contents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.raw.columns import key_text
from stages.contract.raw.quality import Report
from stages.contract.raw.table_columns import rename
from stages.contract.schema import Contract

REFUSED = ("missing key", "repeated key with other content", "repeated key")


def identify(contract: Contract, rows: pd.DataFrame) -> pd.Series:
    """Return a hash (n,) of each base row's key, missing where it is blank; without a key, of all.

    Numbers are hashed as float64, because a part of a file may have another type than the whole.
    """
    keys = contract.tables[contract.base_table].keys
    if not keys:
        whole = rows.select_dtypes("integer").columns
        hashes = pd.util.hash_pandas_object(rows.astype(dict.fromkeys(whole, float)), index=False)
        return hashes.astype("UInt64")
    key = key_text(rename(contract, contract.base_table, rows), keys)
    return pd.util.hash_pandas_object(key, index=False).astype("UInt64").mask(key.isna())


def describe_keys(contract: Contract, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the key of base rows (without one, their hash) and a hash of their content."""
    keys = contract.tables[contract.base_table].keys
    if not keys:
        return pd.DataFrame({"key": identify(contract, rows), "content": 0})
    renamed = rename(contract, contract.base_table, rows)
    content = pd.util.hash_pandas_object(renamed, index=False)
    return pd.DataFrame({"key": key_text(renamed, keys), "content": content})


def mark_repeated(
    hashes: pd.Series, describe: Callable[[NDArray[np.intp]], pd.DataFrame]
) -> NDArray[np.int8]:
    """Return for each base row the place (n,) in REFUSED of why it is dropped, -1 where it is kept.

    Without a key, rows are repeated where all columns of the file are equal. With a key, a row is
    repeated where key and content are. Rows of one key that differ in content are all invalid:
    nothing says which of them is true, and the order of the file must not.

    `describe` returns what `describe_keys` does about the rows at some places.
    """
    blank = hashes.isna().to_numpy()
    marks = np.where(blank, 0, -1).astype(np.int8)
    again = np.flatnonzero(hashes.duplicated(keep=False).to_numpy() & ~blank)
    if len(again):
        rows = describe(again).set_axis(again)
        differs = (rows.groupby("key")["content"].transform("nunique") > 1).to_numpy()
        marks[again[differs]] = 1
        marks[again[rows["key"].duplicated().to_numpy() & ~differs]] = 2
    return marks


def drop_repeated(
    contract: Contract, rows: pd.DataFrame, marks: NDArray[np.int8], report: Report
) -> pd.DataFrame:
    """Return the base rows that `mark_repeated` keeps, with the names of fields."""
    name = contract.base_table
    keys = contract.tables[name].keys
    loans = rename(contract, name, rows)
    if not keys:
        report.count(loans, marks >= 0, "repeated row", list(loans.columns[:1]))
        return loans[marks < 0]
    for place, rule in enumerate(REFUSED):
        report.count(loans, marks == place, rule, keys)
    return loans[marks < 0]
