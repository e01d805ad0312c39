"""Type, repair and validate joined raw rows.

Where the contract has an `outcome` window, a loan's window ends on the same day of the month, that
many months after its date (the last day of a shorter month); its outcome is known from that day on.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.fields import BLANKS, BOOLEANS, Field, missing_column, text
from stages.contract.quality import Report
from stages.contract.raw.columns import (
    as_dates,
    as_text,
    key_text,
    months_later,
    text_codes,
    whole_numbers,
)
from stages.contract.schema import Contract, ContractError, Derived, OutcomeWindow, presence

Floats = NDArray[np.float64]
Marks = pd.Series | NDArray[np.bool_]
Column = pd.Series | NDArray[np.int64]


def drop_indeterminate(contract: Contract, raw: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Return the rows whose outcome is decided; raises ContractError where there are none."""
    name, words = contract.target.field, contract.target.indeterminate_words
    undecided = whole_numbers(as_text(raw[name])).isin(words)
    if len(raw) and undecided.all():
        raise ContractError(
            f"{contract.base_table}.{name}: all {len(raw):,} rows are indeterminate ({words})"
        )
    report.indeterminate = int(undecided.sum())
    return report.leave_out(raw, undecided)


def drop_unripe(contract: Contract, raw: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Return the rows whose window ended while they were observed; raises ContractError if none.

    Rows without a readable date are kept, for `clean` to refuse.
    """
    window = contract.outcome
    if window is None or contract.date is None:
        return raw
    end = months_later(as_dates(raw[contract.date]), window.months)
    last_day = window.last_day
    until = pd.Timestamp(last_day) if last_day else as_dates(raw[str(window.observed_until)])
    unripe = end.notna() & ~(end <= until)
    if len(raw) and unripe.all():
        raise ContractError(
            f"{contract.base_table}.{contract.date}: no loan has had {window.months} months by "
            f"{window.observed_until}; the first one's window ends on {end.min().date()}"
        )
    report.unripe = int(unripe.sum())
    return report.leave_out(raw, unripe)


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
        typed[f.name] = _to_type(f, raw[f.name], broken)
        if f.missing_meanings:
            typed[missing_column(f.name)] = _meanings(f, raw[f.name], typed[f.name])
        if f.name not in later:
            del raw[f.name]
    typed["_bad"] = _outcome(contract, raw, broken)
    if contract.date:
        typed["_date"] = _to_dates(contract.date, raw[contract.date], broken)
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


class Broken:
    """The rows (n,) that break a rule, as far as rules were checked."""

    def __init__(self, raw: pd.DataFrame, report: Report) -> None:
        self.raw, self.report = raw, report
        self.rows = np.zeros(len(raw), dtype=bool)

    def add(self, wrong: Marks, rule: str, column: str, words: str = "") -> None:
        """Mark rows (n,) as breaking a rule of a column; `words` explain the rule."""
        wrong = np.asarray(wrong, dtype=bool)
        if wrong.any():
            first = int(np.argmax(wrong))
            name = f"{column}: {rule}" + (f" ({words})" if words else "")
            where = int(self.raw.index[first])
            self.report.note(name, int(wrong.sum()), where, self.raw[column].iloc[first])
            self.rows |= wrong


def _to_type(f: Field, raw: pd.Series, broken: Broken) -> pd.Series:
    """Return one column in its type, and mark what is wrong in it."""
    words, missing = _repair(f, raw, broken.report)
    if f.codes:
        values = _to_categories(f, words, missing, broken)
    elif f.type in ("integer", "number"):
        values = _to_numbers(f, words, missing, broken)
    elif f.type == "date":
        values = _to_dates(f.name, words.where(~missing), broken, ~missing)
    else:
        values = words.where(~missing, None).astype(object)
    unstated = missing & ~words.isin([text(code) for code in f.missing_meanings])
    if f.constraints.required:
        broken.add(unstated, "missing", f.name)
    elif f.required_with_table:
        broken.add(unstated & broken.raw[presence(f.table)], "missing", f.name)
    if missing.all() and f.is_feature:
        raise ContractError(f"{f.table}.{f.name}: every one of its {len(raw):,} values is missing")
    return values


def _to_categories(f: Field, words: pd.Series, missing: pd.Series, broken: Broken) -> pd.Series:
    """Return a category or boolean as the contract writes it, None where missing."""
    named = {text(v): bool(code) if f.is_boolean else v for v, code in f.codes.items()}
    written = BOOLEANS | named if f.is_boolean else named
    places, distinct = pd.factorize(words)
    objects = np.array([*(written.get(word) for word in distinct), None], dtype=object)
    values = pd.Series(objects[places], index=words.index, dtype=object)
    allowed = ", ".join(map(text, f.constraints.enum or f.codes))
    broken.add(values.isna() & ~missing, "unknown value", f.name, f"allowed: {allowed}")
    return values


def _to_numbers(f: Field, words: pd.Series, missing: pd.Series, broken: Broken) -> pd.Series:
    """Return a number as float64, NaN where missing."""
    limits = f.constraints
    values = pd.to_numeric(words.where(~missing), errors="coerce").astype(np.float64)
    values = values.where(np.isfinite(values))
    broken.add(values.isna() & ~missing, "not a number", f.name)
    if f.type == "integer":
        broken.add(values.notna() & (values % 1 != 0), "not an integer", f.name)
    if limits.minimum is not None:
        broken.add(values < limits.minimum, "minimum", f.name, text(limits.minimum))
    if limits.maximum is not None:
        broken.add(values > limits.maximum, "maximum", f.name, text(limits.maximum))
    return values


def _meanings(f: Field, raw: pd.Series, typed: Column) -> pd.Series:
    """Return the place of each raw value among the missing meanings, from 1; 0 for others."""
    places = {text(code): place for place, code in enumerate(f.missing_meanings, start=1)}
    meanings = whole_numbers(as_text(raw)).map(places).fillna(0).astype(np.int8)
    return meanings.where(pd.isna(typed), np.int8(0))


def _repair(f: Field, raw: pd.Series, report: Report) -> tuple[pd.Series, pd.Series]:
    """Return a column as stripped text with its repairs made, and which values are missing."""
    words = as_text(raw)
    if f.type != "string" and (f.codes or f.missing_values):
        words = whole_numbers(words)
    if f.repair:
        repair = {text(k): text(v) for k, v in f.repair.items()}
        hit = words.isin(list(repair))
        if hit.any():
            counts = words[hit].value_counts()
            report.repaired[f.name] = {
                f"{k} → {repair[k]}": int(counts[k]) for k in sorted(counts.index)
            }
        words = words.where(~hit, words.map(repair))
    values = {text(v) for v in f.codes}
    blanks = [b for b in BLANKS if b not in values] + [text(v) for v in f.missing_values]
    return words, raw.isna() | words.isin(blanks)


def _to_dates(name: str, raw: pd.Series, broken: Broken, present: Marks | bool = True) -> pd.Series:
    """Return a column of dates; one that is `present` but cannot be read breaks a rule."""
    values = as_dates(raw)
    broken.add(values.isna() & present, "not a date", name, "allowed: YYYY-MM-DD")
    return values


def _outcome(contract: Contract, raw: pd.DataFrame, broken: Broken) -> pd.Series:
    """Return the outcome as 0/1, of which both must occur."""
    target = contract.target
    values = whole_numbers(as_text(raw[target.field])).map(target.codes)
    broken.add(values.isna(), "unknown outcome", target.field, f"allowed: {target.allowed}")
    if contract.outcome and contract.outcome.event and contract.date:
        values = values.where(
            ~_late_defaults(contract, contract.outcome, raw, values == 1, broken), 0
        )
    if values.nunique() < 2:
        raise ContractError(
            f"{contract.base_table}.{target.field}: needs both {target.bad!r} (bad) and "
            f"{target.good!r} (good); got {sorted(raw[target.field].map(text).unique())[:10]}"
        )
    return values


def _late_defaults(
    contract: Contract, window: OutcomeWindow, raw: pd.DataFrame, bad: pd.Series, broken: Broken
) -> pd.Series:
    """Return the loans that went bad after their window; a default without a date breaks a rule."""
    name, start = str(window.event), as_dates(raw[str(contract.date)])
    event = as_dates(raw[name])
    broken.add(bad & event.isna(), "bad without the date of the default", name)
    broken.add(bad & (event < start), "default before the loan's date", name)
    late: pd.Series = bad & (event.dt.floor("D") > months_later(start, window.months))
    broken.report.late_defaults = int(late.sum())
    return late


def _count_misstated(derived: Derived, raw: pd.DataFrame, typed: dict[str, Column]) -> int:
    """Return in how many rows a column that states a ratio differs from the ratio itself."""
    ratio = derived.ratio
    stated = pd.to_numeric(raw[derived.stated_as], errors="coerce")
    under = _number(typed[ratio.denominator])
    actual = ratio.scale * _number(typed[ratio.numerator]) / np.where(under == 0, np.nan, under)
    return int(np.sum(np.abs(stated - actual) > derived.tolerance))


def _number(column: Column) -> Floats:
    """Return a typed column as float64, booleans as 0/1."""
    return np.asarray(pd.Series(column).astype(np.float64), dtype=np.float64)
