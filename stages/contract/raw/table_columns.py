"""The columns of a table's file: those that the contract needs, and their names as fields."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from stages.contract.fields.field import Field
from stages.contract.raw.files import delimiter_hint, header
from stages.contract.raw.quality import Report
from stages.contract.schema import Contract, ContractError, presence


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


def rename(contract: Contract, name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return a table's rows with the columns of its fields under the fields' names.

    A column that has another use as well, such as a key, keeps its name beside.
    """
    fields = [f for f in fields_of(contract, name) if f.source != f.name]
    if not fields:
        return rows
    sources = {f.source for f in fields}
    used = {*contract.tables[name].keys, *link_columns(contract, name), *stating_columns(contract)}
    used |= {f.name for f in fields_of(contract, name) if f.source == f.name}
    if name == contract.base_table:
        used |= {contract.target.field, *contract.date_columns}
    kept = rows[[c for c in rows.columns if c not in sources or c in used]]
    return kept.assign(**{f.name: rows[f.source] for f in fields})


def stating_columns(contract: Contract) -> set[str]:
    """Return the columns that state derived fields too."""
    return {d.stated_as for d in contract.derived.values() if d.stated_as}


def plan_reading(
    contract: Contract, name: str, folder: Path, report: Report
) -> tuple[Path, list[str], list[str] | None]:
    """Return the path of a table, the columns to keep of it, and those to read, None for all.

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
    kept = columns_to_keep(contract, name, columns)
    report.ignored += [f"{name}.{c}" for c in columns if c not in kept]
    whole = name == contract.base_table and not table.keys
    return path, kept, None if whole else kept


def columns_to_keep(contract: Contract, name: str, columns: Collection[str]) -> list[str]:
    """Return those of a file's columns that the contract names."""
    return [
        c for c in columns if c in stating_columns(contract).union(required_columns(contract, name))
    ]
