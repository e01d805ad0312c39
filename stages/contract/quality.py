"""Raw text → typed, repaired, valid rows, with an account of every row that was dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from stages.contract.fields import BLANKS, BOOLEANS
from stages.contract.prepared import missing_column
from stages.contract.schema import Contract, ContractError, Derived, Field, text


class QualityError(ValueError):
    """Too many rows are invalid; the message is a table of what is wrong."""


@dataclass
class Report:
    """What happened to the rows, as `quality.json` tells it."""

    rows_in: int = 0
    indeterminate: int = 0
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    repaired: dict[str, dict[str, int]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def drop(self, rows: pd.DataFrame, broken: Any, rule: str, column: str) -> Any:
        """Drop the rows where `broken` (n,) holds; note rule, number and an example."""
        self.rows_in = max(self.rows_in, len(rows))
        broken = np.asarray(broken, dtype=bool)
        if not broken.any():
            return rows
        first = int(np.argmax(broken))
        value = rows[column].iloc[first]
        self.note(f"{column}: {rule}", int(broken.sum()), int(rows.index[first]), value)
        return rows[~broken]

    def leave_out(self, rows: pd.DataFrame, undecided: Any) -> pd.DataFrame:
        """Leave out the rows whose outcome is neither bad nor good yet; they are not invalid."""
        self.indeterminate = int(np.sum(undecided))
        self.rows_in = max(self.rows_in, len(rows)) - self.indeterminate
        return rows.loc[~np.asarray(undecided, dtype=bool)]

    def note(self, rule: str, rows: int, row: int, value: Any) -> None:
        """Count rows under a rule, with the first as the example."""
        self.rules[rule] = {"rows": rows, "example": {"row": row, "value": str(value)}}

    def summary(self, rows_out: int) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "rows_in": self.rows_in,
            "rows_out": rows_out,
            "indeterminate": self.indeterminate,
            "invalid_share": round(1 - rows_out / self.rows_in, 6) if self.rows_in else 0.0,
            "invalid": dict(sorted(self.rules.items(), key=lambda item: -item[1]["rows"])),
            "repaired": self.repaired,
            "ignored_columns": self.ignored,
        }

    def check(self, rows_out: int, max_invalid: float) -> None:
        """Raise QualityError with a table where more than `max_invalid` of rows were dropped."""
        dropped = round(1 - rows_out / self.rows_in, 9)
        if dropped > max_invalid:
            lines = [
                f"{r['rows']:>10,}  {name}  (row {r['example']['row']}: {r['example']['value']!r})"
                for name, r in self.summary(rows_out)["invalid"].items()
            ]
            raise QualityError(
                f"{dropped:.1%} of {self.rows_in:,} rows are invalid; preprocess.max_invalid "
                f"allows {max_invalid:.1%}\n      rows  rule\n" + "\n".join(lines)
            )


def decided(contract: Contract, raw: pd.DataFrame, report: Report) -> pd.DataFrame:
    """The rows whose outcome the contract does not call indeterminate; there must be some."""
    name, words = contract.target.field, [text(v) for v in contract.target.indeterminate]
    undecided = _words(raw[name]).isin(words)
    if len(raw) and undecided.all():
        raise ContractError(
            f"{contract.base_table}.{name}: all {len(raw):,} rows are indeterminate ({words})"
        )
    return report.leave_out(raw, undecided)


def clean(contract: Contract, raw: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Type, repair and validate joined rows; returns the valid ones with their contract's types.

    Adds `_bad` (0/1) and, where the contract has a date, `_date`. Numbers are float64 with NaN,
    categories and booleans are objects with None.
    """
    typed: dict[str, Any] = {}
    broken = Broken(raw, report)
    for f in contract.fields.values():
        typed[f.name] = _typed(f, raw[f.name], broken)
        if f.missing_meanings:
            typed[missing_column(f.name)] = _meaning(f, raw[f.name], typed[f.name])
    typed["_bad"] = _target(contract, raw, broken)
    if contract.date:
        typed["_date"] = _date(contract.date, raw[contract.date], broken)
    for check in contract.checks.values():
        columns = {n: _number(typed[n]) for n in check.parsed.fields}
        wrong = check.parsed.known(columns) & ~check.parsed.holds(columns)
        broken.add(wrong, check.name, check.parsed.left, check.message)
    for derived in contract.derived.values():
        if derived.stated_as in raw:
            wrong = int(np.sum(_misstated(derived, raw, typed)))
            note = f"differs from {derived.formula} by more than {derived.tolerance}, derived anew"
            report.repaired[str(derived.stated_as)] = {note: wrong}
    return pd.DataFrame(typed, index=raw.index)[~broken.rows]


class Broken:
    """The rows that break a rule so far."""

    def __init__(self, raw: pd.DataFrame, report: Report) -> None:
        self.raw, self.report = raw, report
        self.rows = np.zeros(len(raw), dtype=bool)

    def add(self, wrong: Any, rule: str, column: str, words: str = "") -> None:
        """Mark rows (n,) as breaking a rule of a column."""
        wrong = np.asarray(wrong, dtype=bool)
        if wrong.any():
            first = int(np.argmax(wrong))
            name = f"{column}: {rule}" + (f" ({words})" if words else "")
            where = int(self.raw.index[first])
            self.report.note(name, int(wrong.sum()), where, self.raw[column].iloc[first])
            self.rows |= wrong


def _typed(f: Field, raw: pd.Series, broken: Broken) -> Any:
    """One column in its type, with what is wrong in it marked."""
    words, missing = _repaired(f, raw, broken.report)
    limits = f.constraints
    if f.codes:
        own = {text(v): bool(code) if f.is_boolean else v for v, code in f.codes.items()}
        values = words.map(BOOLEANS | own if f.is_boolean else own).astype(object)
        values = values.where(values.notna(), None)
        allowed = ", ".join(map(text, limits.enum or f.codes))
        broken.add(values.isna() & ~missing, "unknown value", f.name, f"allowed: {allowed}")
    elif f.type in ("integer", "number"):
        values = pd.to_numeric(words.where(~missing), errors="coerce").astype(np.float64)
        values = values.where(np.isfinite(values))
        broken.add(values.isna() & ~missing, "not a number", f.name)
        if f.type == "integer":
            broken.add(values.notna() & (values % 1 != 0), "not an integer", f.name)
        if limits.minimum is not None:
            broken.add(values < limits.minimum, "minimum", f.name, text(limits.minimum))
        if limits.maximum is not None:
            broken.add(values > limits.maximum, "maximum", f.name, text(limits.maximum))
    elif f.type == "date":
        values = _date(f.name, words.where(~missing), broken, missing)
    else:
        values = words.where(~missing, None).astype(object)
    if limits.required:
        meant = words.isin([text(code) for code in f.missing_meanings])
        broken.add(missing & ~meant, "missing", f.name)
    if missing.all() and f.is_feature:
        raise ContractError(f"{f.table}.{f.name}: every one of its {len(raw):,} values is missing")
    return values


def _meaning(f: Field, raw: pd.Series, typed: Any) -> Any:
    """Return which of the field's missing meanings (from 1) each raw value has, else 0: int8."""
    places = {text(code): place for place, code in enumerate(f.missing_meanings, start=1)}
    codes = _whole(_words(raw)).map(places).fillna(0).astype(np.int8)
    return codes.where(pd.isna(typed), np.int8(0))


def _repaired(f: Field, raw: pd.Series, report: Report) -> tuple[pd.Series, pd.Series]:
    """A column as stripped text with repairs made, and which values are missing."""
    words = raw if raw.dtype == object or pd.api.types.is_string_dtype(raw) else raw.map(text)
    words = words.astype("str").str.strip()
    if f.type != "string" and (f.codes or f.missing_values):
        words = _whole(words)
    if f.repair:
        repair = {text(k): text(v) for k, v in f.repair.items()}
        hit = words.isin(list(repair))
        if hit.any():
            counts = words[hit].value_counts()
            report.repaired[f.name] = {
                f"{k} → {repair[k]}": int(counts[k]) for k in sorted(counts.index)
            }
        words = words.where(~hit, words.map(repair))
    known = {text(v) for v in f.codes}
    blanks = [b for b in BLANKS if b not in known] + [text(v) for v in f.missing_values]
    return words, raw.isna() | words.isin(blanks)


def _words(raw: pd.Series) -> pd.Series:
    """A column as stripped text, written as a CSV file would."""
    written = raw if pd.api.types.is_string_dtype(raw) else raw.map(text)
    return written.astype("str").str.strip()


def _whole(words: pd.Series) -> pd.Series:
    """Codes as the contract writes them: 1.0, as integers with gaps are often saved, is 1."""
    return words.str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)


def _date(name: str, raw: pd.Series, broken: Broken, missing: Any = None) -> pd.Series:
    """A column of dates; ISO 8601 text, or a Parquet file's own timestamps."""
    values = pd.to_datetime(raw, errors="coerce", format="ISO8601", utc=True)
    values = values.dt.tz_localize(None).astype("datetime64[s]")
    wrong = values.isna() if missing is None else values.isna() & ~missing
    broken.add(wrong, "not a date", name, "allowed: YYYY-MM-DD")
    return values


def _target(contract: Contract, raw: pd.DataFrame, broken: Broken) -> Any:
    """The outcome as 0/1; both must occur."""
    target = contract.target
    values = _whole(_words(raw[target.field])).map(target.codes)
    broken.add(values.isna(), "unknown outcome", target.field, f"allowed: {sorted(target.codes)}")
    if values.nunique() < 2:
        raise ContractError(
            f"{contract.base_table}.{target.field}: needs both {target.bad!r} (bad) and "
            f"{target.good!r} (good); got {sorted(raw[target.field].map(text).unique())[:10]}"
        )
    return values


def _misstated(derived: Derived, raw: pd.DataFrame, typed: dict[str, Any]) -> Any:
    """Where a column that states a ratio differs from the ratio itself."""
    ratio = derived.ratio
    stated = pd.to_numeric(raw[derived.stated_as], errors="coerce")
    under = _number(typed[ratio.denominator])
    actual = ratio.scale * _number(typed[ratio.numerator]) / np.where(under == 0, np.nan, under)
    return np.abs(stated - actual) > derived.tolerance


def _number(column: Any) -> Any:
    """A typed column as float64, booleans as 0/1."""
    return pd.Series(column).astype(np.float64).to_numpy()
