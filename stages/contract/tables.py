"""The raw files of a contract, read as they are and joined to one row a loan."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from stages.contract import quality
from stages.contract.quality import Report
from stages.contract.schema import Contract, ContractError, Table

READERS = (".csv", ".parquet")


def read_file(path: Path) -> pd.DataFrame:
    """Read a CSV as text, or a Parquet file with its own types; ContractError if it cannot be."""
    if not path.exists():
        there = (
            sorted(p.name for p in path.parent.glob("*")) if path.parent.exists() else "no folder"
        )
        raise ContractError(f"{path}: the file is missing; its folder holds {there}")
    if path.suffix not in READERS:
        raise ContractError(f"{path}: a table is one of {', '.join(READERS)}; got {path.suffix!r}")
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except pd.errors.EmptyDataError as error:
        raise ContractError(f"{path}: the file is empty") from error
    except ValueError as error:  # of the parser, of the encoding, of Arrow
        kind = path.suffix.removeprefix(".")
        raise ContractError(f"{path}: cannot be read as {kind}: {error}") from error
    if frame.empty:
        raise ContractError(f"{path}: the file has columns but no rows")
    return frame


def valid(contract: Contract, folder: Path, report: Report, max_invalid: float) -> pd.DataFrame:
    """The joined rows that are decided and valid; `report` counts the others.

    Raises QualityError where joining alone dropped more than `max_invalid` of the rows.
    """
    raw = quality.decided(contract, join(contract, folder, report), report)
    report.check(len(raw), max_invalid)
    return quality.clean(contract, raw, report)


def join(contract: Contract, folder: Path, report: Report) -> pd.DataFrame:
    """Read the tables and join them: one row a loan, only columns that the contract names.

    The index is the row's number in the base file (0 the first after the header). Repeated rows are
    dropped and rows that find no partner are told to `report`.
    """
    base = contract.tables[contract.base_table]
    loans = _columns(contract, contract.base_table, folder, report)
    if base.keys:
        loans = report.drop(loans, loans.duplicated(base.keys), "repeated key", base.keys[0])
    else:
        loans = report.drop(loans, loans.duplicated(), "repeated row", loans.columns[0])
    for name, table in contract.tables.items():
        if name != contract.base_table:
            loans = _attach(contract, loans, name, table, folder, report)
    return loans


def _attach(
    contract: Contract, loans: pd.DataFrame, name: str, table: Table, folder: Path, report: Report
) -> pd.DataFrame:
    """Join one table, many loans to one row."""
    rows = _columns(contract, name, folder, report).drop_duplicates(table.keys)
    place = pd.Index(rows[table.keys[0]]).get_indexer(pd.Index(loans[table.joins[0]]))
    loans = report.drop(loans, place < 0, f"no row in {name}", table.joins[0])
    right = rows.drop(columns=table.keys).iloc[place[place >= 0]].set_axis(loans.index)
    for column in right.columns.intersection(loans.columns):
        raise ContractError(f"{table.path}: column {column!r} is read from another table too")
    joined: pd.DataFrame = pd.concat([loans, right], axis=1)
    return joined


def _columns(contract: Contract, name: str, folder: Path, report: Report) -> pd.DataFrame:
    """One table's columns that the contract names; an absent one is an error."""
    table = contract.tables[name]
    frame = read_file(folder / table.path)
    wanted = {f.name for f in contract.fields.values() if f.table == name}
    keys = set(table.keys)
    if name == contract.base_table:
        keys |= {contract.target.field, *(j for t in contract.tables.values() for j in t.joins)}
        keys |= {contract.date} if contract.date else set()
    needed = wanted | keys
    missing = sorted(needed.difference(frame.columns))
    if missing:
        raise ContractError(
            f"{folder / table.path}: column {missing[0]!r} is missing; the file has "
            f"{sorted(map(str, frame.columns))}"
        )
    stated = {d.stated_as for d in contract.derived.values() if d.stated_as}
    kept = [c for c in frame.columns if c in needed | stated]
    report.ignored += [f"{name}.{c}" for c in frame.columns if c not in kept]
    return frame[kept]
