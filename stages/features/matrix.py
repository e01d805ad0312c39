"""The one feature code: raw applications in columns → a numeric matrix, for one row or a million.

`featurize` and the service call the same two functions, `encode` and `matrix`. Nothing is fitted
here: categories, ratios and directions of risk are all in the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.contract.schema import Contract, ContractError, Derived, Field, Mode

Floats = NDArray[np.float64]
Columns = Mapping[str, Sequence[Any] | NDArray[Any]]
# Boosters compute in 32 bits; a larger number is infinite there, which XGBoost refuses.
LARGEST = float(np.finfo(np.float32).max)
DIRECTION = {None: 0, "increasing": 1, "decreasing": -1}


class Features:
    """What a model of one contract and mode sees of an application.

    Attributes
    ----------
    names : the F features: the fields of the contract's order, then the ratios.
    categories : indices of the features that are unordered categories (codes, not quantities).
    directions : (F,) 1 where PD rises with the feature, -1 where it falls, 0 where it is free.
    sources : for each feature, the names of the raw fields it is made from.
    """

    def __init__(self, contract: Contract, mode: Mode) -> None:
        self.inputs = contract.inputs(mode)
        fields, ratios = contract.feature_fields(mode), contract.feature_ratios(mode)
        parts: list[Field | Derived] = [*fields, *ratios]
        self.names = tuple(part.name for part in parts)
        self.titles = tuple(part.title or part.name for part in parts)
        self.sources = tuple((f.name,) for f in fields) + tuple(r.ratio.fields for r in ratios)
        self.categories = [j for j, f in enumerate(fields) if f.is_category and not f.ordered]
        self.directions = np.array([DIRECTION[part.risk] for part in parts], dtype=np.int64)
        place = {f.name: j for j, f in enumerate(self.inputs)}
        self._own = np.array([place[f.name] for f in fields], dtype=np.intp)
        self._over = np.array([place[r.ratio.numerator] for r in ratios], dtype=np.intp)
        self._under = np.array([place[r.ratio.denominator] for r in ratios], dtype=np.intp)
        self._scale = np.array([r.ratio.scale for r in ratios])
        self._empty = np.array([np.nan if r.when_empty is None else r.when_empty for r in ratios])
        self._encoders = [(f.name, f.codes) for f in self.inputs]

    def __call__(self, columns: Columns) -> Floats:
        """Raw columns of n values each → the (n, F) feature matrix, NaN where missing."""
        return self.matrix(self.encode(columns))

    def encode(self, columns: Columns) -> Floats:
        """Raw columns → (n, inputs) float64: numbers as they are, categories as codes, None as NaN.

        A column that is absent is missing throughout. Raises ContractError for an unknown category
        or a value that is no number.
        """
        n = max((len(values) for values in columns.values()), default=0)
        out = np.full((n, len(self.inputs)), np.nan)
        for j, (name, codes) in enumerate(self._encoders):
            values = columns.get(name)
            if values is None:
                continue
            try:
                if codes:
                    out[:, j] = [np.nan if v is None else codes[v] for v in values]
                else:
                    out[:, j] = np.asarray(values, dtype=np.float64)
            except (KeyError, ValueError, TypeError) as error:
                raise ContractError(wrong_value(self.inputs[j], values)) from error
        return out

    def matrix(self, encoded: Floats) -> Floats:
        """Encoded inputs (n, inputs) → features (n, F), every number finite in 32 bits."""
        own = encoded[:, self._own]
        if not len(self._over):
            return bounded(own)
        under = encoded[:, self._under]
        empty = under == 0
        under[empty] = 1.0
        with np.errstate(over="ignore"):
            ratios = encoded[:, self._over] * self._scale / under
        if empty.any():
            rows, which = np.nonzero(empty)
            over = encoded[:, self._over][rows, which]
            ratios[rows, which] = np.where(np.isnan(over), np.nan, self._empty[which])
        return bounded(np.concatenate((own, ratios), axis=1))

    def application(self, encoded: Floats) -> dict[str, Any]:
        """One encoded row (inputs,) → the raw application it came from, in JSON's own types."""
        return {
            field.name: decode(field, value)
            for field, value in zip(self.inputs, encoded.tolist(), strict=True)
        }


def bounded(x: Floats) -> Floats:
    """Return numbers within what 32 bits can hold; NaN stays NaN."""
    return np.clip(x, -LARGEST, LARGEST)


def decode(field: Field, value: float) -> Any:
    """A code or number back to the raw value of its field; NaN to None."""
    if value != value:  # noqa: PLR0124  (NaN)
        return None
    if field.codes:
        return next(raw for raw, code in field.codes.items() if code == value)
    return int(value) if field.type == "integer" else value


def wrong_value(field: Field, values: Sequence[Any] | NDArray[Any]) -> str:
    """Name the first value of a column that its field cannot take."""
    allowed = f"one of {list(field.codes)}" if field.codes else "a number"
    wrong = (row for row, v in enumerate(values) if v is not None and not can_be(field, v))
    row = next(wrong)
    return f"{field.name} must be {allowed}; got {values[row]!r} (row {row})"


def can_be(field: Field, value: Any) -> bool:
    """Whether a value can be encoded."""
    try:
        return value in field.codes if field.codes else isinstance(float(value), float)
    except (ValueError, TypeError):
        return False
