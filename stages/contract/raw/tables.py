"""Read the raw files of a contract and join them to one row per loan.

A joined table has at most one row per key. Keys are compared as text, so the types of the files do
not matter, and a blank key joins nothing. A loan without a row in a joined table is invalid; where
the table is `optional` its fields are missing and the flag `<table>_present` is false.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.fields import Field
from stages.contract.raw import cleaning, outcomes
from stages.contract.raw.columns import SEPARATOR, key_text
from stages.contract.raw.files import delimiter_hint, header, read_file
from stages.contract.raw.quality import Report
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
    loans = _read_loans(contract, folder, report)
    for name in contract.tables:
        if name != contract.base_table:
            loans = _attach(contract, loans, name, folder, report)
    return loans


def required_columns(contract: Contract, name: str) -> list[str]:
    """Return the columns that a table must have."""
    table, base = contract.tables[name], name == contract.base_table
    columns = [*table.keys, *link_columns(contract, name)]
    columns += [f.source for f in fields_of(contract, name)]
    if base:
        columns.append(contract.target.field)
        renamed = {f.name for f in fields_of(contract, name) if f.source != f.name}
        columns += [c for c in contract.date_columns if c not in renamed]
    return list(dict.fromkeys(columns))


def fields_of(contract: Contract, name: str) -> list[Field]:
    """Return the fields that are columns of a table's file."""
    fields = [f for f in contract.fields.values() if f.table == name]
    return [f for f in fields if not (contract.tables[name].optional and f.name == presence(name))]


def link_columns(contract: Contract, name: str) -> list[str]:
    """Return the columns of a table that other tables join by, and the entity's."""
    linked = [*contract.tables.values(), *contract.history.values()]
    named = [*(j for t in linked for j in t.joins)]
    named += [contract.entity] if contract.entity else []
    return [column for table, column in map(contract.place, named) if table == name]


def _read_loans(contract: Contract, folder: Path, report: Report) -> pd.DataFrame:
    """Read the base table and drop the rows that repeat another.

    Without a key, rows are repeated where all columns of the file are equal. With a key, a row is
    repeated where key and content are. Rows of one key that differ in content are all invalid:
    nothing says which of them is true, and the order of the file must not.
    """
    name = contract.base_table
    keys = contract.tables[name].keys
    loans = _read(contract, name, folder, report, whole=not keys)
    report.date = contract.date
    if not keys:
        repeated = pd.util.hash_pandas_object(loans, index=False).duplicated()
        loans = rename(contract, name, loans[_columns_to_keep(contract, name, loans.columns)])
        report.count(loans, repeated, "repeated row", list(loans.columns[:1]))
        return loans[~repeated]
    loans = rename(contract, name, loans)
    key = key_text(loans, keys)
    report.count(loans, key.isna(), "missing key", keys)
    again = loans[key.duplicated(keep=False) & key.notna()]
    content = pd.util.hash_pandas_object(again, index=False)
    contents = content.groupby(key[again.index]).transform("nunique")
    differs = pd.Series(False, index=loans.index)
    differs[contents.index[contents > 1]] = True
    report.count(loans, differs, "repeated key with other content", keys)
    repeated = key.duplicated() & key.notna() & ~differs
    report.count(loans, repeated, "repeated key", keys)
    return loans[~(key.isna() | differs | repeated)]


def rename(contract: Contract, name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return a table's rows with the columns of its fields under the fields' names.

    A column that has another use as well, such as a key, keeps its name beside.
    """
    fields = [f for f in fields_of(contract, name) if f.source != f.name]
    if not fields:
        return rows
    sources = {f.source for f in fields}
    used = {*contract.tables[name].keys, *link_columns(contract, name), *_stating_columns(contract)}
    used |= {f.name for f in fields_of(contract, name) if f.source == f.name}
    if name == contract.base_table:
        used |= {contract.target.field, *contract.date_columns}
    kept = rows[[c for c in rows.columns if c not in sources or c in used]]
    return kept.assign(**{f.name: rows[f.source] for f in fields})


def _stating_columns(contract: Contract) -> set[str]:
    """Return the columns that state derived fields too."""
    return {d.stated_as for d in contract.derived.values() if d.stated_as}


def _attach(
    contract: Contract, loans: pd.DataFrame, name: str, folder: Path, report: Report
) -> pd.DataFrame:
    """Return the loans with the columns of one more table, of which many loans may share a row."""
    table = contract.tables[name]
    rows = _read(contract, name, folder, report)
    key = key_text(rows, table.keys)
    rows, key = rows[key.notna()], key[key.notna()]
    if key.duplicated().any():
        key = _unique_keys(f"{folder / table.path}", name, table.keys, rows, key)
        rows = rows.loc[key.index]
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
    columns = {c: rows[c] for c in rows.columns if c in fields | _stating_columns(contract)}
    columns |= {f"{name}.{c}": rows[c] for c in link_columns(contract, name)}
    right = pd.DataFrame(columns).reset_index(drop=True)
    if not table.optional:
        return right.take(place)
    return right.reindex(place).assign(**{presence(name): place >= 0})


def _read(
    contract: Contract, name: str, folder: Path, report: Report, whole: bool = False
) -> pd.DataFrame:
    """Read one table: the columns that the contract names, or the whole file.

    Raises ContractError where a column that the contract names is absent.
    """
    table = contract.tables[name]
    path = folder / table.path
    columns = header(path, table)
    missing = sorted(set(required_columns(contract, name)).difference(columns))
    if missing:
        raise ContractError(
            f"{path}: column {missing[0]!r} is missing; the file has {sorted(columns)}"
            f"{delimiter_hint(columns)}"
        )
    kept = _columns_to_keep(contract, name, columns)
    report.ignored += [f"{name}.{c}" for c in columns if c not in kept]
    return read_file(path, None if whole else kept, table)


def _columns_to_keep(contract: Contract, name: str, columns: Collection[str]) -> list[str]:
    """Return those of a file's columns that the contract names."""
    return [
        c
        for c in columns
        if c in _stating_columns(contract).union(required_columns(contract, name))
    ]
