"""Turn raw columns of applications into a numeric matrix, for one row or a million.

This is the only feature code: `featurize` and the service both call it. Nothing is fitted here,
because categories, ratios and directions of risk are all in the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.contract.derived import Derived
from stages.contract.fields import Field, missing_column
from stages.contract.parts import Scalar
from stages.contract.schema import Contract, ContractError, Mode

Floats = NDArray[np.float64]
Outcomes = NDArray[np.int64]  # 1 for a bad loan, 0 for a good one
Values = Sequence[Any] | NDArray[Any]
Columns = Mapping[str, Values]
# Boosters compute in 32 bits; a larger number is infinite there, which XGBoost refuses.
LARGEST = float(np.finfo(np.float32).max)
DIRECTION = {None: 0, "increasing": 1, "decreasing": -1}


@dataclass(frozen=True)
class MissingReason:
    """The feature that says why a field is missing, where its missing codes have meanings.

    Its code is 0 where a value is present, k for the k-th meaning of the contract, and one more
    where the value is missing without a meaning.
    """

    field: Field
    risk: None = None

    @property
    def name(self) -> str:
        """The name of the feature."""
        return missing_column(self.field.name)

    @property
    def title(self) -> str:
        """The title of the feature."""
        return f"{self.field.title or self.field.name}: why it is missing"

    @property
    def levels(self) -> list[str]:
        """The name of each code."""
        return ["present", *self.field.missing_meanings.values(), "missing"]


class Features:
    """The features of a model of one contract and mode.

    Attributes
    ----------
    inputs : the fields that are read, in the contract's order.
    names : the F features: the fields in the contract's order, then the ratios, then the reasons
        why fields are missing.
    parts : the contract's part for each feature.
    categories : indices of the features that are unordered categories (codes, not quantities).
    explained_by : from the index of a field's feature to that of the reason why it is missing.
    directions : (F,) 1 where PD rises with the feature, -1 where it falls, 0 where it is free.
    sources : for each feature, the names of the raw fields it is made from.
    """

    def __init__(self, contract: Contract, mode: Mode) -> None:
        self.inputs = contract.inputs(mode)
        fields, ratios = contract.feature_fields(mode), contract.feature_ratios(mode)
        reasons = [MissingReason(f) for f in fields if f.missing_meanings]
        self.parts: list[Field | Derived | MissingReason] = [*fields, *ratios, *reasons]
        self.names = tuple(part.name for part in self.parts)
        self.titles = tuple(part.title or part.name for part in self.parts)
        self.sources = (
            *((f.name,) for f in fields),
            *(r.ratio.fields for r in ratios),
            *((r.field.name,) for r in reasons),
        )
        self.categories = [
            j
            for j, part in enumerate(self.parts)
            if isinstance(part, MissingReason)
            or (isinstance(part, Field) and part.is_category and not part.ordered)
        ]
        self.explained_by = {
            self.names.index(r.field.name): self.names.index(r.name) for r in reasons
        }
        self.directions = np.array([DIRECTION[part.risk] for part in self.parts], dtype=np.int64)
        place = {f.name: j for j, f in enumerate(self.inputs)}
        self._fields = np.array([place[f.name] for f in fields], dtype=np.intp)
        self._over = np.array([place[r.ratio.numerator] for r in ratios], dtype=np.intp)
        self._under = np.array([place[r.ratio.denominator] for r in ratios], dtype=np.intp)
        self._scale = np.array([r.ratio.scale for r in ratios])
        self._empty = np.array([np.nan if r.when_empty is None else r.when_empty for r in ratios])
        self._explained = [r.field for r in reasons]
        self._missing = np.array([place[r.field.name] for r in reasons], dtype=np.intp)
        self._unexplained = np.array([len(r.levels) - 1.0 for r in reasons])
        self._encoders = [(f.name, f.codes, f.missing_codes) for f in self.inputs]

    def __call__(self, columns: Columns) -> Floats:
        """Return the feature matrix (n, F) of raw columns (n,), NaN where a value is missing."""
        return self.matrix(self.encode(columns))

    def encode(self, columns: Columns) -> Floats:
        """Return raw columns (n,) as numbers (n, inputs + reasons), NaN where a value is missing.

        Numbers stay as they are, and categories become codes. The columns after the inputs say
        which meaning a missing value has: `FIELD__missing` says so in prepared data, and the raw
        code in applications. A column that is absent counts as missing throughout.

        Raises ContractError for an unknown category or a value that is no number.
        """
        n = max((len(values) for values in columns.values()), default=0)
        out = np.full((n, len(self.inputs) + len(self._explained)), np.nan)
        for j, (name, codes, missing) in enumerate(self._encoders):
            values = columns.get(name)
            if values is None:
                continue
            try:
                if missing:
                    values = without_codes(values, missing)
                if codes:
                    out[:, j] = [np.nan if v is None else codes[v] for v in values]
                else:
                    out[:, j] = np.asarray(values, dtype=np.float64)
            except (KeyError, ValueError, TypeError) as error:
                raise ContractError(wrong_value(self.inputs[j], values)) from error
        for j, field in enumerate(self._explained, start=len(self.inputs)):
            out[:, j] = meanings_of(field, columns, n)
        return out

    def encode_rows(self, applications: Sequence[Mapping[str, Any]]) -> Floats:
        """Return n checked applications as `encode` does (n, inputs + reasons), bit for bit."""
        rows = [
            [
                np.nan
                if (value := get(name)) is None or value in missing
                else codes[value]
                if codes
                else value
                for name, codes, missing in self._encoders
            ]
            + [field.missing_codes.get(get(field.name), 0) for field in self._explained]
            for get in [application.get for application in applications]
        ]
        return np.array(rows, dtype=np.float64)

    def matrix(self, encoded: Floats) -> Floats:
        """Return the features (n, F) of encoded inputs (n, inputs + reasons), finite in 32 bits."""
        parts = [encoded[:, self._fields]]
        if len(self._over):
            parts.append(self._ratios(encoded))
        if len(self._missing):
            meaning = encoded[:, len(self.inputs) :]
            missing = np.isnan(encoded[:, self._missing])
            meant = np.where(meaning == 0, self._unexplained, meaning)
            parts.append(np.where(missing, meant, 0.0))
        return clip_to_float32(np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0])

    def _ratios(self, encoded: Floats) -> Floats:
        under = encoded[:, self._under]
        empty = under == 0
        under[empty] = 1.0
        with np.errstate(over="ignore"):
            ratios = encoded[:, self._over] * self._scale / under
        if empty.any():
            rows, which = np.nonzero(empty)
            over = encoded[:, self._over][rows, which]
            ratios[rows, which] = np.where(np.isnan(over), np.nan, self._empty[which])
        return np.asarray(ratios, dtype=np.float64)

    def application(self, encoded: Floats) -> dict[str, Any]:
        """Return the raw application of one encoded row (inputs + reasons,), as in JSON."""
        values = encoded.tolist()
        raw = {
            field.name: decode(field, value)
            for field, value in zip(self.inputs, values, strict=False)
        }
        for field, place in zip(self._explained, values[len(self.inputs) :], strict=True):
            if raw[field.name] is None and place:
                raw[field.name] = list(field.missing_meanings)[int(place) - 1]
        return raw


def without_codes(values: Values, missing: Mapping[Any, int]) -> Values:
    """Return the values (n,) of a column with NaN or None in place of each missing code."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        numbers = [code for code in missing if isinstance(code, int | float)]
        return np.where(np.isin(values, numbers), np.nan, values)
    return [None if value in missing else value for value in values]


def meanings_of(field: Field, columns: Columns, n: int) -> Values:
    """Return which meaning a missing value of a field has in each row (n,), from 1; 0 for none."""
    prepared = columns.get(missing_column(field.name))
    if prepared is not None:
        return prepared
    values = columns.get(field.name, np.zeros(n))
    return [field.missing_codes.get(value, 0) for value in values]


def clip_to_float32(x: Floats) -> Floats:
    """Return the numbers, clipped to those that 32 bits can hold; NaN stays NaN."""
    return np.clip(x, -LARGEST, LARGEST)


def decode(field: Field, value: float) -> Scalar | None:
    """Return the raw value of a field for its code or number, None for NaN."""
    if value != value:  # noqa: PLR0124  (NaN)
        return None
    if field.codes:
        raw: Scalar = next(raw for raw, code in field.codes.items() if code == value)
        return raw
    return int(value) if field.type == "integer" else value


def wrong_value(field: Field, values: Values) -> str:
    """Return the message about the first value of a column that its field cannot have."""
    allowed = f"one of {list(field.codes)}" if field.codes else "a number"
    wrong = (row for row, v in enumerate(values) if v is not None and not is_encodable(field, v))
    row = next(wrong)
    return f"{field.name} must be {allowed}; got {values[row]!r} (row {row})"


def is_encodable(field: Field, value: Any) -> bool:
    """Return whether a field can have a value."""
    try:
        if value in field.missing_codes:
            return True
        return value in field.codes if field.codes else isinstance(float(value), float)
    except (ValueError, TypeError):
        return False
