"""Type, repair and validate joined raw rows."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.derived import Derived
from stages.contract.expressions.operations import as_days
from stages.contract.fields.field import Field, missing_column
from stages.contract.raw.broken_rows import BrokenRows
from stages.contract.raw.columns import dates_of, key_text, text_codes
from stages.contract.raw.outcomes import outcome_of
from stages.contract.raw.quality import Report
from stages.contract.raw.values import Column, missing_meanings, to_type
from stages.contract.schema import Contract, presence

Floats = NDArray[np.float64]


def clean(
    contract: Contract,
    raw: pd.DataFrame,
    report: Report,
    entity: NDArray[np.int64] | None = None,
) -> pd.DataFrame:
    """Return the valid rows of joined raw rows, repaired and with the types of the contract.

    Numbers are float64 with NaN, categories and booleans are objects with None. `_bad`, `_date`,
    `_entity` and `FIELD__missing` are added as `stages.contract.prepared` describes them. A column
    of `raw` is removed from it as soon as it is typed, so that a large book is not held twice.
    `entity` are the codes of the customers (n,) where the rows are a part of a book.
    """
    typed: dict[str, Column] = {}
    broken = BrokenRows(raw, report)
    later = read_later(contract)
    for f in contract.fields.values():
        typed[f.name] = to_type(f, raw[f.name], broken)
        if f.missing_meanings:
            typed[missing_column(f.name)] = missing_meanings(f, raw[f.name], typed[f.name])
        if f.name not in later:
            del raw[f.name]
    typed["_bad"] = outcome_of(contract, raw, broken)
    if contract.date:
        typed["_date"] = dates = dates_of(contract, contract.date, raw)
        broken.add(dates.isna(), "not a date", contract.date, "allowed: YYYY-MM-DD")
    if contract.exposure:
        negative = np.asarray(typed[contract.exposure], dtype=np.float64) < 0
        broken.add(negative, "negative", contract.exposure, "the money at risk is 0 or more")
    if contract.entity:
        typed["_entity"] = text_codes(entity_text(contract, raw)) if entity is None else entity
    for name, history in contract.history.items():
        joins = [contract.joined_name(join) for join in history.joins]
        typed[f"_key_{name}"] = key_text(raw, joins)
    for check in contract.checks.values():
        columns = _encode(contract, typed, check.parsed.fields)
        wrong = check.parsed.has_values(columns) & ~check.parsed.holds(columns)
        broken.add(wrong, check.name, check.parsed.left, check.message)
    for derived in contract.derived.values():
        if derived.stated_as in raw:
            columns = _encode(contract, typed, contract.sources_of(derived))
            wrong = _count_misstated(contract, derived, raw[derived.stated_as], columns)
            note = f"differs from {derived.formula} by more than {derived.tolerance}, derived anew"
            report.repaired[str(derived.stated_as)] = {note: wrong}
    report.remember(raw[broken.rows])
    for name in [*typed] if broken.rows.any() else []:
        typed[name] = typed[name][~broken.rows]
    return pd.DataFrame(typed, index=raw.index[~broken.rows], copy=False)


def entity_text(contract: Contract, raw: pd.DataFrame) -> pd.Series:
    """Return the text (n,) that tells customers apart, missing where there is none."""
    return key_text(raw, [contract.joined_name(str(contract.entity))])


def read_later(contract: Contract) -> set[str | None]:
    """Return the raw columns that `clean` reads again after the fields are typed."""
    later: set[str | None] = {contract.target.field, contract.date, contract.exposure}
    later |= {contract.joined_name(contract.entity)} if contract.entity else set()
    later |= {contract.joined_name(j) for h in contract.history.values() for j in h.joins}
    later |= set(contract.outcome.columns) if contract.outcome else set()
    later |= {check.parsed.left for check in contract.checks.values()}
    later |= {derived.stated_as for derived in contract.derived.values()}
    later |= {presence(name) for name, table in contract.tables.items() if table.optional}
    return later


def _count_misstated(
    contract: Contract, derived: Derived, raw: pd.Series, columns: dict[str, Floats]
) -> int:
    """Return in how many rows a column that states a derived field differs from it."""
    stated = pd.to_numeric(raw, errors="coerce")
    if derived.ratio:
        actual = derived.ratio.values(columns)
    else:
        for step in contract.steps_of([derived]):
            columns[step.name] = step.values(columns)
        actual = columns[derived.name]
    return int(np.sum(np.abs(stated - actual) > derived.tolerance))


def _encode(
    contract: Contract, typed: dict[str, Column], names: Collection[str]
) -> dict[str, Floats]:
    """Return typed columns as float64: categories as codes, booleans as 0/1, dates as days."""
    return {name: encode_column(contract.fields[name], typed[name]) for name in names}


def encode_column(field: Field, column: Column) -> Floats:
    """Return a typed column (n,) as float64, NaN where a value is missing."""
    values = pd.Series(column)
    if field.type == "date":
        return as_days(values.to_numpy())
    if field.is_category:
        values = values.map(field.codes, na_action="ignore")
    return np.asarray(values.astype(np.float64), dtype=np.float64)
