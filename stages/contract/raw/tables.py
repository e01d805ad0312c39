"""Read the raw files of a contract and join them to one row per loan.

A joined table has at most one row per key. Keys are compared as text, so the types of the files do
not matter, and a blank key joins nothing. A loan without a row in a joined table is invalid; where
the table is `optional` its fields are missing and the flag `<table>_present` is false.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.raw import cleaning, outcomes, repeated_rows
from stages.contract.raw.columns import SEPARATOR, key_text
from stages.contract.raw.files import read_file
from stages.contract.raw.quality import Report
from stages.contract.raw.table_columns import link_columns, plan_reading, rename, stating_columns
from stages.contract.schema import Contract, ContractError, presence


def read_valid(
    contract: Contract, folder: Path, report: Report, max_invalid: float
) -> pd.DataFrame:
    """Return the joined rows that are decided, ripe and valid; `report` counts the others.

    Raises QualityError where joining alone dropped more than `max_invalid` of the rows.
    """
    raw = outcomes.drop_indeterminate(contract, join(contract, folder, report), report)
    raw = outcomes.drop_unripe(contract, raw, report)
    report.check(len(raw), max_invalid)
    return cleaning.clean(contract, raw, report)


def join(contract: Contract, folder: Path, report: Report) -> pd.DataFrame:
    """Read the tables and join them: one row per loan, only columns that the contract names.

    The index is the row's number in the base file (0 is the first after the header). Columns that
    other tables join by, and the entity, are named `TABLE.COLUMN` where they are not of the base.
    """
    base = contract.base_table
    path, kept, read = plan_reading(contract, base, folder, report)
    rows = read_file(path, read, contract.tables[base])
    report.date = contract.date
    marks = repeated_rows.mark_repeated(
        repeated_rows.identify(contract, rows),
        lambda places: repeated_rows.describe_keys(contract, rows.iloc[places]),
    )
    loans = repeated_rows.drop_repeated(contract, rows[kept], marks, report)
    for name, table in contract.tables.items():
        if name != base:
            path, kept, _ = plan_reading(contract, name, folder, report)
            unique = unique_rows(contract, name, path, read_file(path, kept, table))
            loans = attach(contract, loans, name, *unique, report)
    return loans


def unique_rows(
    contract: Contract, name: str, path: Path, rows: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """Return one row per key of a table that is joined, and the keys."""
    keys = contract.tables[name].keys
    key = key_text(rows, keys)
    rows, key = rows[key.notna()], key[key.notna()]
    if key.duplicated().any():
        key = _unique_keys(str(path), name, keys, rows, key)
        rows = rows.loc[key.index]
    return rows, key


def attach(
    contract: Contract,
    loans: pd.DataFrame,
    name: str,
    rows: pd.DataFrame,
    key: pd.Series,
    report: Report,
) -> pd.DataFrame:
    """Return the loans with the columns of one more table, of which many loans may share a row."""
    table = contract.tables[name]
    joins = [contract.joined_name(join) for join in table.joins]
    place = pd.Index(key).get_indexer(pd.Index(key_text(loans, joins)))
    if not table.optional:
        loans, place = report.drop(loans, place < 0, f"no row in {name}", joins), place[place >= 0]
    rows = rename(contract, name, rows)
    right = _columns_beside(contract, name, rows, place).set_axis(loans.index)
    for column in right.columns.intersection(loans.columns):
        raise ContractError(
            f"{table.path}: column {column!r} is read from another table too; give a field of this "
            f"table another name, with `column: {column}`"
        )
    joined: pd.DataFrame = pd.concat([loans, right], axis=1)
    return joined


def _unique_keys(
    place: str, name: str, keys: list[str], rows: pd.DataFrame, key: pd.Series
) -> pd.Series:
    """Return the keys without those of rows that are equal; ContractError where rows differ."""
    content = pd.util.hash_pandas_object(rows, index=False)
    first = ~pd.DataFrame({"key": key, "content": content}).duplicated()
    key = key[first]
    repeated = key.duplicated(keep=False)
    if repeated.any():
        example = key[repeated].iloc[0]
        raise ContractError(
            f"{place}: the key {', '.join(keys)} of the table {name!r} must have one row each; "
            f"{key[repeated].nunique():,} keys have several, {int(repeated.sum()):,} of "
            f"{len(rows):,} rows, for example {example.replace(SEPARATOR, ', ')!r} "
            f"({int((key == example).sum())} rows). A table with many rows per key is a "
            "history table: declare it under `history`, and `aggregates` of its lines"
        )
    return key


def _columns_beside(
    contract: Contract, name: str, rows: pd.DataFrame, place: NDArray[np.intp]
) -> pd.DataFrame:
    """Return the table's columns in the order of the loans; missing where `place` is -1."""
    table = contract.tables[name]
    fields = {f.name for f in contract.fields.values() if f.table == name}
    columns = {c: rows[c] for c in rows.columns if c in fields | stating_columns(contract)}
    columns |= {f"{name}.{c}": rows[c] for c in link_columns(contract, name)}
    right = pd.DataFrame(columns).reset_index(drop=True)
    if not table.optional:
        return right.take(place)
    return right.reindex(place).assign(**{presence(name): place >= 0})
