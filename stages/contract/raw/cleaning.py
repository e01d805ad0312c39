"""Type, repair and validate joined raw rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.derived import Derived
from stages.contract.fields import missing_column
from stages.contract.raw.broken_rows import Broken
from stages.contract.raw.columns import dates_of, key_text, text_codes
from stages.contract.raw.outcomes import outcome_of
from stages.contract.raw.quality import Report
from stages.contract.raw.values import Column, missing_meanings, to_type
from stages.contract.schema import Contract, presence

Floats = NDArray[np.float64]


def clean(contract: Contract, raw: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Return the valid rows of joined raw rows, repaired and with the types of the contract.

    Numbers are float64 with NaN, categories and booleans are objects with None. `_bad`, `_date`,
    `_entity` and `FIELD__missing` are added as `stages.contract.prepared` describes them. A column
    of `raw` is removed from it as soon as it is typed, so that a large book is not held twice.
    """
    typed: dict[str, Column] = {}
    broken = Broken(raw, report)
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
    if contract.entity:
        typed["_entity"] = text_codes(key_text(raw, [contract.joined_name(contract.entity)]))
    for check in contract.checks.values():
        columns = {n: _number(typed[n]) for n in check.parsed.fields}
        wrong = check.parsed.has_values(columns) & ~check.parsed.holds(columns)
        broken.add(wrong, check.name, check.parsed.left, check.message)
    for derived in contract.derived.values():
        if derived.stated_as in raw:
            wrong = _count_misstated(derived, raw, typed)
            note = f"differs from {derived.formula} by more than {derived.tolerance}, derived anew"
            report.repaired[str(derived.stated_as)] = {note: wrong}
    report.remember(raw[broken.rows])
    for name in [*typed] if broken.rows.any() else []:
        typed[name] = typed[name][~broken.rows]
    return pd.DataFrame(typed, index=raw.index[~broken.rows], copy=False)


def read_later(contract: Contract) -> set[str | None]:
    """Return the raw columns that `clean` reads again after the fields are typed."""
    later: set[str | None] = {contract.target.field, contract.date}
    later |= {contract.joined_name(contract.entity)} if contract.entity else set()
    later |= set(contract.outcome.columns) if contract.outcome else set()
    later |= {check.parsed.left for check in contract.checks.values()}
    later |= {derived.stated_as for derived in contract.derived.values()}
    later |= {presence(name) for name, table in contract.tables.items() if table.optional}
    return later


def _count_misstated(derived: Derived, raw: pd.DataFrame, typed: dict[str, Column]) -> int:
    """Return in how many rows a column that states a ratio differs from the ratio itself."""
    ratio = derived.ratio
    stated = pd.to_numeric(raw[derived.stated_as], errors="coerce")
    under = _number(typed[ratio.denominator])
    above = ratio.scale * _number(typed[ratio.numerator])
    with np.errstate(over="ignore"):
        actual = above / np.where(under == 0, np.nan, under)
    return int(np.sum(np.abs(stated - actual) > derived.tolerance))


def _number(column: Column) -> Floats:
    """Return a typed column as float64, booleans as 0/1."""
    return np.asarray(pd.Series(column).astype(np.float64), dtype=np.float64)
