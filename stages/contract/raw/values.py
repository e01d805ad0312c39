"""Give the raw values of a column their type, repair them, and mark those that break a rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.fields.field import Field
from stages.contract.fields.written_values import BLANKS, BOOLEANS, text
from stages.contract.raw.broken_rows import BrokenRows
from stages.contract.raw.columns import as_dates, as_text, plain_texts, whole_numbers
from stages.contract.raw.quality import Report
from stages.contract.schema import presence

Column = pd.Series | NDArray[np.int64]
"""A typed column (n,)."""


def to_type(f: Field, raw: pd.Series, broken: BrokenRows) -> pd.Series:
    """Return one column in its type, and mark what is wrong in it."""
    words, missing = _repair(f, raw, broken.report)
    if f.codes:
        values = _to_categories(f, words, missing, broken)
    elif f.type in ("integer", "number"):
        plain = words if pd.api.types.is_numeric_dtype(raw) else plain_texts(f, words)
        values = _to_numbers(f, plain, missing, broken)
    elif f.type == "date":
        values = as_dates(plain_texts(f, words.where(~missing)))
        allowed = f"allowed: {f.format or 'YYYY-MM-DD'}"
        broken.add(values.isna() & ~missing, "not a date", f.name, allowed)
    else:
        values = words.where(~missing, None).astype(object)
    unstated = missing & ~words.isin([text(code) for code in f.missing_meanings])
    if f.constraints.required:
        broken.add(unstated, "missing", f.name)
    elif f.required_with_table:
        broken.add(unstated & broken.raw[presence(f.table)], "missing", f.name)
    if missing.all() and f.is_feature:
        words_of_fault = f"{f.table}.{f.name}: every one of its {{rows}} values is missing"
        broken.report.blame(f.name, words_of_fault, len(raw))
    return values


def _to_categories(f: Field, words: pd.Series, missing: pd.Series, broken: BrokenRows) -> pd.Series:
    """Return a category or boolean as the contract writes it, None where missing."""
    named = {text(v): bool(code) if f.is_boolean else v for v, code in f.codes.items()}
    written = BOOLEANS | named if f.is_boolean else named
    places, distinct = pd.factorize(words)
    objects = np.array([*(written.get(word) for word in distinct), None], dtype=object)
    values = pd.Series(objects[places], index=words.index, dtype=object)
    if f.other is not None:
        values = values.where(values.notna() | missing, f.other)
    allowed = ", ".join(map(text, f.constraints.enum or f.codes))
    broken.add(values.isna() & ~missing, "unknown value", f.name, f"allowed: {allowed}")
    return values


def _to_numbers(f: Field, words: pd.Series, missing: pd.Series, broken: BrokenRows) -> pd.Series:
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


def missing_meanings(f: Field, raw: pd.Series, typed: Column) -> pd.Series:
    """Return the place of each raw value among the missing meanings, from 1; 0 for others."""
    places = {text(code): place for place, code in enumerate(f.missing_meanings, start=1)}
    meanings = whole_numbers(as_text(raw)).map(places).fillna(0).astype(np.int8)
    return meanings.where(pd.isna(typed), np.int8(0))
