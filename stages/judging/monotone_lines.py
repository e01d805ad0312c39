"""Follow the PD of every row along a field, through all values that the field may have.

The PD changes at known values: where a feature that the field moves reaches a threshold of the
model, or, in a model that is linear, where its slope changes sign. It is read at each of these and
between each two that follow one another, so no fall is passed over. Where a formula of another form
than a ratio reads the field, or a check of another form than a comparison of two sides, the PD is
read at evenly spread values too, and a fall between two of them may be passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stages.contract.derived import Derived
from stages.contract.expressions.general import Condition
from stages.contract.fields.field import Field
from stages.features.matrix import DIRECTION, Floats
from stages.models.artifact import Model
from stages.models.breakpoints import MovedRatio, slopes_of, thresholds_of
from stages.models.compiled.trees import Trees
from stages.models.scorers import Selected

SAMPLES = 65  # values at which a formula of another form is read, besides the known ones
ROWS = 64  # processed together: fewer have more breakpoints in common, more share the fixed cost
SMALLEST_FALL = 1e-6  # of the PD: a smaller one is rounding
NEAREST_TO_ZERO = 1e-6  # a denominator is followed down to it, and read at 0
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Fall:
    """How far the PD of a row goes against the direction of risk, from one value to another."""

    size: float
    row: int
    start: float
    end: float


def falls_along(model: Model, encoded: Floats, j: int) -> tuple[Bools, Fall | None]:
    """Return in which rows (n, inputs) the PD goes against the direction of field j, and the worst.

    The model's scorer is one of numbers and texts alone, as `model_file` reads it.
    """
    line = Line(model, j)
    wrong, worst = np.zeros(len(encoded), dtype=np.bool_), None
    for places in line.alike(encoded):
        for start in range(0, len(places), ROWS):
            some = places[start : start + ROWS]
            sizes, fall = line.follow(encoded[some])
            wrong[some] = sizes > SMALLEST_FALL
            if fall.size > max(SMALLEST_FALL, worst.size if worst else 0.0):
                worst = replace(fall, row=int(some[fall.row]))
    return wrong, worst


class Line:
    """The values of field j, and what they move in a model."""

    def __init__(self, model: Model, j: int) -> None:
        self.model, self.j = model, j
        self.field: Field = model.features.inputs[j]
        self.sign = DIRECTION[self.field.risk]
        place = {field.name: i for i, field in enumerate(model.features.inputs)}
        self.moved: dict[int, MovedRatio | None] = {}
        self.formulas: dict[int, str] = {}
        for f, part in enumerate(model.features.parts):
            if isinstance(part, Field) and part.name == self.field.name:
                self.moved[f] = None
            elif isinstance(part, Derived) and part.ratio and self.field.name in part.ratio.fields:
                over, under = (place[side] for side in part.ratio.fields)
                other = under if over == j else over
                self.moved[f] = MovedRatio(part.ratio.scale, other, is_over=over == j)
            elif isinstance(part, Derived) and self.field.name in model.features.sources[f]:
                self.formulas[f] = part.name
        self.checks = [
            check.parsed
            for check in model.contract.checks.values()
            if self.field.name in check.parsed.fields and {*check.parsed.fields} <= place.keys()
        ]
        self.is_sampled = bool(self.formulas) or any(isinstance(c, Condition) for c in self.checks)
        self.slopes = slopes_of(model.scorer)
        self.is_denominator = any(r is not None and not r.is_over for r in self.moved.values())

    def alike(self, encoded: Floats) -> list[NDArray[np.intp]]:
        """Return the rows (n, inputs) in groups in which each ratio goes the same way, if any."""
        others = [r.other for r in self.moved.values() if r is not None]
        if not others:
            return [np.arange(len(encoded))]
        signs = np.nan_to_num(np.sign(encoded[:, others]), nan=2.0)
        _, group = np.unique(signs, axis=0, return_inverse=True)
        return [np.flatnonzero(group == g) for g in range(group.max() + 1)]

    def follow(self, rows: Floats) -> tuple[Floats, Fall]:
        """Return the largest fall of each row (k, inputs), of a group of `alike`; and the worst."""
        parts = [self.values(rows, low, high) for low, high in self.ranges()]
        margins = [self.margins(rows, values) for values in parts]
        values, margin = (np.concatenate(part, axis=1) for part in (parts, margins))
        risk = self.sign * self.model.calibrator(margin.ravel()).reshape(margin.shape)
        allowed = self.are_allowed(rows, values)
        highest = np.maximum.accumulate(np.where(allowed, risk, -np.inf), axis=1)
        falls = np.where(allowed, highest - risk, 0.0)
        row, end = np.unravel_index(falls.argmax(), falls.shape)
        same = allowed[row, :end] & (risk[row, :end] == highest[row, end])
        start = int(np.flatnonzero(same)[-1]) if same.any() else int(end)
        fall = Fall(float(falls[row, end]), int(row), values[row, start], values[row, end])
        return falls.max(axis=1), fall

    def bounds(self) -> tuple[float, float]:
        """Return the least and the largest value that the contract allows; infinite without one."""
        limits = self.field.constraints
        low = -np.inf if limits.minimum is None else limits.minimum
        return low, np.inf if limits.maximum is None else limits.maximum

    def ranges(self) -> list[tuple[float, float]]:
        """Return the ranges of the field in which each ratio keeps its sign, in their order."""
        low, high = self.bounds()
        if not self.is_denominator or self.field.codes:
            return [(low, high)]
        cuts = [(low, -NEAREST_TO_ZERO), (0.0, 0.0), (NEAREST_TO_ZERO, high)]
        return [(max(a, low), min(b, high)) for a, b in cuts if max(a, low) <= min(b, high)]

    def values(self, rows: Floats, low: float, high: float) -> Floats:
        """Return the values (k, m) of a range at which the rows (k, inputs) are read, ascending."""
        k = len(rows)
        if self.field.codes:
            return np.tile(np.unique([*self.field.codes.values()]), (k, 1))
        if low == high:
            return np.full((k, 1), low)
        found = [np.broadcast_to(b, (k, b.shape[1])) for b in self.breakpoints(rows, low, high)]
        breaks = np.concatenate([*found, np.empty((k, 0))], axis=1)
        finite = abs(np.concatenate((breaks.ravel(), [low, high])))
        far = 1.0 + 2 * float(finite[np.isfinite(finite)].max(initial=0.0))
        low, high = max(low, -far), min(high, far)
        breaks = np.sort(np.where(np.isfinite(breaks), breaks, low).clip(low, high), axis=1)
        ends = np.tile([low, high], (k, 1))
        breaks = np.concatenate((ends[:, :1], breaks, ends[:, 1:]), axis=1)
        if self.field.type == "integer":
            near = (np.ceil(breaks) - 1, np.floor(breaks), np.floor(breaks) + 1)
            within = np.concatenate(near, axis=1).clip(np.ceil(low), np.floor(high))
            return np.sort(within, axis=1)
        middles = (breaks[:, 1:] + breaks[:, :-1]) / 2
        return np.sort(np.concatenate((breaks, middles), axis=1), axis=1)

    def breakpoints(self, rows: Floats, low: float, high: float) -> list[Floats]:
        """Return where the PD, or whether a value is allowed, can change: (k, t) each."""
        x = self.matrix(rows, np.full((len(rows), 1), min(max(low, 0.0), high)))
        known = thresholds_of(self.model.scorer, x, [*self.moved, *self.formulas]) or {}
        found = []
        if self.is_sampled:
            far = 1.0 + 2 * float(np.nanmax(abs(rows[:, self.j]), initial=0.0))
            found.append(np.linspace(max(low, -far), min(high, far), SAMPLES)[None])
        for f, ratio in self.moved.items():
            if len(thresholds := known.get(f, np.empty(0))):
                found.append(
                    thresholds[None] if ratio is None else ratio.reached_at(thresholds, rows)
                )
        found += self.turns(rows, found) if self.slopes.keys() & self.moved.keys() else []
        columns = self.columns(rows)
        for check in self.checks:
            if isinstance(check, Condition):
                continue
            if check.right is None:
                found.append(np.array([[check.offset]]))
            elif check.left == self.field.name:
                found.append(check.factor * columns[check.right] + check.offset)
            elif check.factor:
                found.append((columns[check.left] - check.offset) / check.factor)
        return found

    def turns(self, rows: Floats, kinks: list[Floats]) -> list[Floats]:
        """Return where the margin of a linear model turns between its kinks: (k, t) each.

        There it is `p + q v + s / v`, which turns at the roots of `s / q`.
        """
        linear = {f: ratio for f, ratio in self.moved.items() if f in self.slopes}
        k = len(rows)
        breaks = np.concatenate([np.broadcast_to(b, (k, b.shape[1])) for b in kinks], axis=1)
        breaks = np.sort(np.where(np.isfinite(breaks), breaks, 0.0), axis=1)
        middles = (breaks[:, 1:] + breaks[:, :-1]) / 2
        q, s = np.zeros_like(middles), np.zeros_like(middles)
        for f, ratio in linear.items():
            slope, low, high = self.slopes[f]
            v = middles if ratio is None else ratio.values(middles, rows)
            is_active = slope * ((v > low) & (v < high))
            if ratio is None:
                q += is_active
            elif ratio.is_over:
                with np.errstate(all="ignore"):
                    q += is_active * ratio.scale / rows[:, ratio.other, None]
            else:
                s += is_active * ratio.scale * rows[:, ratio.other, None]
        with np.errstate(all="ignore"):
            root = np.sqrt(s / q)
        return [root, -root]

    def margins(self, rows: Floats, values: Floats) -> Floats:
        """Return the margins (k, m) of rows (k, inputs) with the field at values (k, m)."""
        scorer = self.model.scorer
        columns = np.arange(len(self.model.features.names))
        if isinstance(scorer, Selected):
            columns, scorer = scorer.columns, scorer.scorer
        whole = bool(self.formulas or self.field.codes)
        if isinstance(scorer, Trees) and values.shape[1] > 1 and not whole:
            x = self.matrix(rows, values[:, :1])[:, columns]
            moving = {}
            for place, f in enumerate(columns.tolist()):
                if f in self.moved:
                    ratio = self.moved[f]
                    v = values if ratio is None else ratio.values(values, rows)
                    if not np.isnan(v).any():
                        moving[place] = v
            if moving:
                return scorer.margins_along(x, moving)[0]
        line = self.matrix(rows, values)
        return self.model.scorer.margin(line).reshape(values.shape)

    def are_allowed(self, rows: Floats, values: Floats) -> Bools:
        """Return whether the contract's checks allow the values (k, m) in rows (k, inputs)."""
        columns = self.columns(rows) | {self.field.name: values}
        allowed = np.ones(values.shape, dtype=np.bool_)
        for check in self.checks:
            allowed &= check.holds(columns) | ~check.has_values(columns)
        return allowed

    def columns(self, rows: Floats) -> dict[str, Floats]:
        """Return the fields of rows (k, inputs) as columns (k, 1) by name."""
        inputs = self.model.features.inputs
        return {field.name: rows[:, i, None] for i, field in enumerate(inputs)}

    def matrix(self, rows: Floats, values: Floats) -> Floats:
        """Return the features (k * m, F) of rows (k, inputs) with the field at values (k, m)."""
        line = np.repeat(rows, values.shape[1], axis=0)
        line[:, self.j] = values.ravel()
        return self.model.features.matrix(line)
