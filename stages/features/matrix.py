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

from stages.contract.derived import Aggregate, Derived
from stages.contract.fields.field import Field, missing_column
from stages.contract.schema import Contract, ContractError, Mode
from stages.features.aggregates import compute
from stages.features.encoding import (
    Columns,
    Values,
    codes_of,
    decode,
    is_encoded,
    meanings_of,
    without_codes,
    wrong_value,
)
from stages.features.lines import lines_of_applications

Floats = NDArray[np.float64]
Outcomes = NDArray[np.int64]  # 1 for a bad loan, 0 for a good one
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
    inputs : the fields that are read, in the contract's order, and the aggregates.
    stated : those of the inputs that an application states.
    histories : the histories whose lines are read, by name.
    names : the F features: the fields in the contract's order, then the derived fields, then the
        reasons why fields are missing.
    parts : the contract's part for each feature.
    categories : indices of the features that are unordered categories (codes, not quantities).
    explained_by : from the index of a field's feature to that of the reason why it is missing.
    directions : (F,) 1 where PD rises with the feature, -1 where it falls, 0 where it is free.
    sources : for each feature, the names of the raw fields it is made from.
    """

    def __init__(self, contract: Contract, mode: Mode) -> None:
        self.inputs = contract.inputs(mode)
        fields, derived = contract.feature_fields(mode), contract.derived_features(mode)
        reasons = [MissingReason(f) for f in fields if f.missing_meanings]
        self.parts: list[Field | Derived | MissingReason] = [*fields, *derived, *reasons]
        self.names = tuple(part.name for part in self.parts)
        self.titles = tuple(part.title or part.name for part in self.parts)
        self.sources = (
            *((f.name,) for f in fields),
            *(contract.sources_of(d) for d in derived),
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
        self._place = place = {f.name: j for j, f in enumerate(self.inputs)}
        self._fields = np.array([place[f.name] for f in fields], dtype=np.intp)
        self._derived = derived
        self._steps = [d for d in contract.steps_of(derived) if d.ratio is None or d not in derived]
        if self._steps:  # the intermediate values that they need are computed with them
            self._steps = contract.steps_of(derived)
        ratios = [] if self._steps else [(d.ratio, d.when_empty) for d in derived if d.ratio]
        self._over = np.array([place[r.numerator] for r, _ in ratios], dtype=np.intp)
        self._under = np.array([place[r.denominator] for r, _ in ratios], dtype=np.intp)
        self._scale = np.array([r.scale for r, _ in ratios])
        self._empty = np.array([np.nan if empty is None else empty for _, empty in ratios])
        self._explained = [r.field for r in reasons]
        self._missing = np.array([place[r.field.name] for r in reasons], dtype=np.intp)
        self._unexplained = np.array([len(r.levels) - 1.0 for r in reasons])
        self.stated = [f for f in self.inputs if not isinstance(f, Aggregate)]
        self._encoders = [(f.name, codes_of(f), f.missing_codes) for f in self.stated]
        used = {f.of for f in self.inputs if isinstance(f, Aggregate)}
        self.histories = {name: contract.history[name] for name in contract.history if name in used}
        self._aggregates = {
            n: [a for a in contract.aggregates_of(n) if a in self.inputs] for n in used
        }
        self._decided = place[str(contract.date)] if used else -1

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
                if codes and not is_encoded(self.inputs[j], values):
                    out[:, j] = [np.nan if v is None else codes[v] for v in values]
                else:
                    out[:, j] = np.asarray(values, dtype=np.float64)
            except (KeyError, ValueError, TypeError) as error:
                raise ContractError(wrong_value(self.inputs[j], values)) from error
        for name in self.histories:
            lists = columns.get(name)
            given = self._aggregate(
                {name: lists} if lists is not None else {}, out[:, self._decided]
            )
            for part in self._aggregates[name]:
                values = given.get(part.name, columns.get(part.name))
                if values is not None:
                    out[:, self._place[part.name]] = values
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
        encoded = np.array(rows, dtype=np.float64)
        if not self.histories:
            return encoded
        lists = {name: [a.get(name) for a in applications] for name in self.histories}
        values = self._aggregate(lists, encoded[:, self._decided])
        inputs = [values[f.name] for f in self.inputs if isinstance(f, Aggregate)]
        stated = len(self.stated)
        return np.hstack((encoded[:, :stated], np.stack(inputs, axis=1), encoded[:, stated:]))

    def _aggregate(self, lists: Mapping[str, Values], decided: Floats) -> dict[str, Floats]:
        """Return the aggregates (n,) by name of the lines of histories, a list for each row."""
        values: dict[str, Floats] = {}
        for name, lines in lists.items():
            read = lines_of_applications(self.histories[name], lines)
            values |= compute(self._aggregates[name], read, decided)
        return values

    def matrix(self, encoded: Floats) -> Floats:
        """Return the features (n, F) of encoded inputs (n, inputs + reasons), finite in 32 bits."""
        parts = [encoded[:, self._fields]]
        if self._steps:
            parts.append(self._compute_derived(encoded))
        elif len(self._over):
            parts.append(self._ratios(encoded))
        if len(self._missing):
            meaning = encoded[:, len(self.inputs) :]
            missing = np.isnan(encoded[:, self._missing])
            meant = np.where(meaning == 0, self._unexplained, meaning)
            parts.append(np.where(missing, meant, 0.0))
        return clip_to_float32(np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0])

    def _compute_derived(self, encoded: Floats) -> Floats:
        """Return the derived features (n, D), each computed from fields and from those above it."""
        columns = {f.name: encoded[:, j] for j, f in enumerate(self.inputs)}
        for step in self._steps:
            columns[step.name] = step.values(columns)
        return np.stack([columns[d.name] for d in self._derived], axis=1)

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
            for field, value in zip(self.stated, values, strict=False)
        }
        for field, place in zip(self._explained, values[len(self.inputs) :], strict=True):
            if raw[field.name] is None and place:
                raw[field.name] = list(field.missing_meanings)[int(place) - 1]
        return raw


def clip_to_float32(x: Floats) -> Floats:
    """Return the numbers, clipped to those that 32 bits can hold; NaN stays NaN."""
    return np.clip(x, -LARGEST, LARGEST)
