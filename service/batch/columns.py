"""Read whole columns of a file, with the same results and checks as single applications."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from service.decision.applications import Applications
from service.decision.field_types import EXACT
from service.sources.values import value_reader
from stages.contract.fields.field import Field
from stages.features.encoding import codes_of
from stages.features.matrix import Features, Floats, MissingReason

Mask = NDArray[np.bool_]
# What Arrow and Python read as the same number.
PLAIN = r"^-?[0-9]+(\.[0-9]+)?$"


class FieldColumn(NamedTuple):
    """The n values of a field as numbers.

    Attributes
    ----------
    values : (n,) numbers and codes of categories, NaN where a value is missing.
    meanings : (n,) which meaning a missing value has, from 1; 0 for none.
    keeps : (n,) whether the field is sure to accept the value.
    """

    values: Floats
    meanings: Floats
    keeps: Mask

    def fill(self, rows: Mask, other: FieldColumn) -> None:
        """Put the values of another column in some rows (n,)."""
        for mine, others in zip(self, other, strict=True):
            mine[rows] = others


class ColumnReader:
    """Reads the columns of applications to a model of one contract."""

    def __init__(self, applications: Applications, features: Features) -> None:
        self.applications, self.features = applications, features
        reasons = [part for part in features.parts if isinstance(part, MissingReason)]
        self.explained = [reason.field.name for reason in reasons]
        self.fields = {
            name: FieldReader(f, applications) for name, f in applications.fields.items()
        }

    def read(self, chunk: pa.Table) -> tuple[Floats, Mask]:
        """Return encoded inputs (n, inputs + reasons) and which rows (n,) keep the contract.

        A row of which this is not sure must be read by itself, also to say what is wrong with it.
        Rows with lines of a history always are.
        """
        encoded = np.full((len(chunk), len(self.features.inputs)), np.nan)
        keeps = np.full(len(chunk), not self.applications.histories)
        columns = {f: np.full(len(chunk), np.nan) for f in self.fields}
        meanings = dict.fromkeys(self.fields, np.zeros(len(chunk)))
        for name in set(chunk.column_names) & self.fields.keys() if keeps.any() else ():
            columns[name], meanings[name], sure = self.fields[name].read(values_of(chunk, name))
            keeps &= sure
        stated = {n: numbers(values_of(chunk, n)) for n in self._stated_columns(chunk)}
        for values, sure in stated.values():
            keeps &= sure & ~np.isinf(values)
        with np.errstate(all="ignore"):
            keeps &= self.keep_rules(columns, {n: values for n, (values, _) in stated.items()})
        for place, part in enumerate(self.features.inputs):
            encoded[:, place] = columns.get(part.name, np.nan)
        return np.column_stack([encoded, *(meanings[name] for name in self.explained)]), keeps

    def keep_rules(self, columns: dict[str, Floats], stated: dict[str, Floats]) -> Mask:
        """Tell which rows keep the rules between fields, and state no wrong derived value: (n,)."""
        keeps = np.full(len(next(iter(columns.values()))), True)
        for check in self.applications.checks:
            keeps &= check.parsed.holds(columns) | ~check.parsed.has_values(columns)
        for name, values in stated.items():
            derived = self.applications.stated[name]
            true = self.applications.derive(derived, columns)
            keeps &= ~(np.abs(values - true) > derived.tolerance)
        return keeps

    def _stated_columns(self, chunk: pa.Table) -> list[str]:
        return [name for name in chunk.column_names if name in self.applications.stated]


class FieldReader:
    """Reads a column of one field."""

    def __init__(self, field: Field, applications: Applications) -> None:
        self.field, self.codes = field, codes_of(field)
        self.required = field.name in applications.required
        self.read_value = value_reader(field)
        part = applications.model.model_fields[field.name]
        self.validator = TypeAdapter(part.rebuild_annotation()).validator
        codes = (as_float(code) for code in (*field.missing_values, *field.repair))
        self.by_itself = [code for code in codes if code is not None]

    def read(self, values: pa.Array) -> FieldColumn:
        """Return the n values of a column."""
        if pa.types.is_nested(values.type):
            return self._unsure(len(values))
        if not self.field.is_numeric or (self.field.plain_text and is_text(values)):
            return self.read_distinct(values)
        column, plain = self.read_plain(values)
        if not plain.all():
            column.fill(~plain, self.read_distinct(values.filter(pa.array(~plain))))
        return column

    def read_plain(self, values: pa.Array) -> tuple[FieldColumn, Mask]:
        """Return a column of numbers, and which of them (n,) have no meaning but themselves."""
        read, plain = numbers(values)
        missing = np.isnan(read)
        if self.by_itself:
            plain &= ~np.isin(read, self.by_itself)
        low, high = self.field.constraints.minimum, self.field.constraints.maximum
        keeps = np.isfinite(read)
        if self.field.type == "integer":
            keeps &= (read == np.rint(read)) & (np.abs(read) <= EXACT)
        with np.errstate(invalid="ignore"):
            keeps &= (read >= (-np.inf if low is None else low)) & (
                read <= (np.inf if high is None else high)
            )
        if not self.required:
            keeps |= missing
        return FieldColumn(read, np.zeros(len(read)), keeps), plain

    def read_distinct(self, values: pa.Array) -> FieldColumn:
        """Return the values of a column, each distinct one read as in a single application."""
        try:
            encoded = values.dictionary_encode(null_encoding="encode")
        except pa.ArrowNotImplementedError:
            return self._unsure(len(values))
        read = [self._read(value) for value in encoded.dictionary.to_pylist()]
        codes, meanings, keeps = (np.array(part) for part in zip(*read, strict=True))
        places = encoded.indices.to_numpy(zero_copy_only=False)
        return FieldColumn(
            codes[places], meanings[places].astype(float), keeps[places].astype(bool)
        )

    def _read(self, raw: object) -> tuple[float, int, bool]:
        """Return the number of a value in a file, its meaning if missing, and if it is accepted."""
        value = self.read_value(raw)
        if value is None:
            return np.nan, 0, not self.required
        try:
            self.validator.validate_python(value)
        except ValidationError:
            return np.nan, 0, False
        if value in self.field.missing_codes:
            return np.nan, self.field.missing_codes[value], True
        if self.codes:
            return self.codes[value], 0, True
        return (float(value) if isinstance(value, int | float) else np.nan), 0, True

    @staticmethod
    def _unsure(rows: int) -> FieldColumn:
        return FieldColumn(np.full(rows, np.nan), np.zeros(rows), np.full(rows, False))


def values_of(chunk: pa.Table, name: str) -> pa.Array:
    """Return a column of a chunk as one array without a dictionary."""
    column = chunk.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)


def is_text(values: pa.Array) -> bool:
    """Return whether an array holds texts."""
    return bool(pa.types.is_string(values.type) or pa.types.is_large_string(values.type))


def numbers(values: pa.Array) -> tuple[Floats, Mask]:
    """Return numbers (n,), NaN for a missing one, and which (n,) Python would read as the same."""
    missing = values.is_null().to_numpy(zero_copy_only=False)
    if is_text(values):
        plain = pc.match_substring_regex(values, PLAIN)
        values = pc.if_else(plain, values, None)
        same = missing | plain.fill_null(False).to_numpy(zero_copy_only=False)
    elif pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        same = np.full(len(values), True)
    else:
        return np.full(len(values), np.nan), missing
    read = pc.cast(values, pa.float64(), safe=False)
    return read.to_numpy(zero_copy_only=False).astype(np.float64), same


def as_float(code: object) -> float | None:
    """Return a code of the contract as a number, or None if it is no number."""
    try:
        return float(str(code))
    except ValueError:
        return None
