"""Find where the decision can change as one field of an application moves.

But for formulas of another form, every feature is constant in the field, equal to it, or a ratio
with it in the numerator or the denominator: `p + q v + s / v`. So a threshold of the model, a side
of a rule, and the cut-off of a model that is linear in its features are all roots of such a term,
and a term has two at most. Between two roots that follow one another the decision is the same.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from service.decision.advice.terms import MovingTerm
from service.decision.engine import Engine
from stages.contract.derived import Derived
from stages.contract.expressions.general import Condition
from stages.contract.expressions.simple import Rule
from stages.contract.fields.field import Field
from stages.features.matrix import Floats, clip_to_float32
from stages.models.breakpoints import margins_along, slopes_of, thresholds_of

SMALLEST = 1e-9  # no allowed denominator is nearer to 0
LARGEST_MARGIN = 700.0  # log-odds: a PD of e^-700 is the smallest that 64 bits can hold


class Breakpoints:
    """The places at which the decision about applications can change as field j moves.

    Attributes
    ----------
    complete : whether all places are known: the model's thresholds, and no formula or rule of
        another form reads the field.
    continuous : whether the PD moves between the places too.
    """

    def __init__(self, engine: Engine, j: int) -> None:
        self._engine, self._j = engine, j
        features, name = engine.features, engine.features.inputs[j].name
        place = {field.name: i for i, field in enumerate(features.inputs)}
        self._ratios: dict[int, tuple[float, int, int] | None] = {}
        self._formulas: list[int] = []
        for f, part in enumerate(features.parts):
            if isinstance(part, Derived) and name in features.sources[f] and part.ratio is None:
                self._formulas.append(f)
            elif isinstance(part, Derived) and part.ratio and name in part.ratio.fields:
                over, under = (place[side] for side in part.ratio.fields)
                self._ratios[f] = part.ratio.scale, over, under
            elif isinstance(part, Field) and part.name == name:
                self._ratios[f] = None
        self.complete = (
            thresholds_of(engine.model.scorer, np.empty((0, 0)), []) is not None
            and not self._formulas
            and not self._read_by_condition(name)
        )
        self._linear = slopes_of(engine.model.scorer)
        self.continuous = any(self._linear.get(f, (0.0,))[0] for f in self._ratios)

    def values(self, rows: Floats, values: Floats) -> dict[int, Floats]:
        """Return the features that move (k, m) at the field's values (k, m), as `Features` does.

        A ratio whose other side is missing, or a denominator of 0, does not move.
        """
        moved = {}
        for f, ratio in self._moving_features(rows).items():
            if ratio is None:
                moved[f] = clip_to_float32(values)
                continue
            scale, *sides = ratio
            over, under = (values if side == self._j else rows[:, side, None] for side in sides)
            with np.errstate(all="ignore"):
                moved[f] = clip_to_float32(over * scale / under)
        if self._formulas:
            line = np.repeat(rows, values.shape[1], axis=0)
            line[:, self._j] = np.broadcast_to(values, (len(rows), values.shape[1])).ravel()
            x = self._engine.features.matrix(line).reshape(len(rows), values.shape[1], -1)
            moved |= {f: x[:, :, f] for f in self._formulas}
        return moved

    def have_corners(self, rows: Floats) -> bool:
        """Return whether every feature that moves is lowest and highest at the rows' ends.

        Formulas of another form may turn, and ratios may jump where their denominator is 0.
        """
        under = {ratio[2] for ratio in self._ratios.values() if ratio}
        signs = [np.sign(rows[:, place]) for place in under]
        return not self._formulas and all(abs(sign.sum()) == len(rows) for sign in signs)

    def _read_by_condition(self, name: str) -> bool:
        """Whether a rule or a check of another form than a comparison of two sides reads a field.

        A rule of the policy reads it by way of a derived feature too.
        """
        engine = self._engine
        sources = dict(zip(engine.features.names, engine.features.sources, strict=True))
        read = [{*c.parsed.fields} for c in engine.contract.checks.values() if is_general(c.parsed)]
        read += [
            {source for feature in rule.parsed.fields for source in sources[feature]}
            for rule in engine.policy.rules
            if is_general(rule.parsed)
        ]
        return any(name in names for names in read)

    def _moving_features(self, rows: Floats) -> dict[int, tuple[float, int, int] | None]:
        """Return the features that move with the field: the scale and the sides of a ratio."""
        moving = {}
        for f, ratio in self._ratios.items():
            if ratio is not None:
                _, over, under = ratio
                other = rows[:, under if over == self._j else over]
                if np.isnan(other).any() or (over == self._j and not other.all()):
                    continue
            moving[f] = ratio
        return moving

    def _terms(self, rows: Floats) -> dict[int, MovingTerm]:
        """Return the features that move, as terms of the field; `rows` (k, inputs) are encoded."""
        terms = {}
        for f, ratio in self._moving_features(rows).items():
            if ratio is None:
                terms[f] = MovingTerm(q=1.0)
                continue
            scale, over, under = ratio
            if over == self._j:
                terms[f] = MovingTerm(q=scale / rows[:, under, None])
            else:
                terms[f] = MovingTerm(s=scale * rows[:, over, None])
        return terms

    def places(self, rows: Floats, x: Floats, other: Breakpoints | None = None) -> Floats:
        """Return the places (k, p) for k rows; `rows` are encoded inputs, `x` (k, F) features.

        They are the places for every value of the other field, where there is one. Some may be NaN,
        infinite, or out of the field's bounds.
        """
        terms = self._terms(rows)
        moving = dict.fromkeys([*terms, *self._formulas])
        moving |= dict.fromkeys([*other._ratios, *other._formulas] if other else [])
        known = thresholds_of(self._engine.model.scorer, x, [*moving]) or {}
        found = [
            MovingTerm(term.p - thresholds, term.q, term.s).roots()
            for f, term in terms.items()
            if len(thresholds := known.get(f, np.empty(0)))
        ]
        found += [sides.roots() for sides in self._sides_of_rules(rows, x, terms)]
        if self.continuous:
            found += self._crossings(rows, x, terms, found)
        found.append(np.empty((len(rows), 0)))
        return np.concatenate([np.broadcast_to(f, (len(rows), f.shape[1])) for f in found], axis=1)

    def _sides_of_rules(
        self, rows: Floats, x: Floats, terms: dict[int, MovingTerm]
    ) -> list[MovingTerm]:
        """Return the differences of both sides of every rule that the field can change."""
        engine = self._engine
        names = engine.features.names
        by_name = {n: terms.get(f, MovingTerm(p=x[:, f, None])) for f, n in enumerate(names)}
        inputs = {
            field.name: MovingTerm(q=1.0) if i == self._j else MovingTerm(p=rows[:, i, None])
            for i, field in enumerate(engine.features.inputs)
        }
        found = [(rule.parsed, by_name) for rule in engine.policy.rules]
        found += [(check.parsed, inputs) for check in engine.contract.checks.values()]
        return [
            difference(rule, sides)
            for rule, sides in found
            if isinstance(rule, Rule) and {*rule.fields} <= sides.keys()
        ]

    def _crossings(
        self, rows: Floats, x: Floats, terms: dict[int, MovingTerm], kinks: list[Floats]
    ) -> list[Floats]:
        """Return where the margin of a linear model reaches the cut-off, between its kinks.

        The margins between the kinks are summed quickly, and computed to the last bit only where
        they may reach the cut-off.
        """
        ends = self._ends(rows, kinks)
        middle = (ends[:, 1:] + ends[:, :-1]) / 2
        values = self.values(rows, middle)
        q, s = np.zeros(middle.shape), np.zeros(middle.shape)
        for f, term in terms.items():
            slope, low, high = self._linear.get(f, (0.0, 0.0, 0.0))
            active = slope * ((values[f] > low) & (values[f] < high))
            q, s = q + active * term.q, s + active * term.s
        scorer, target = self._engine.model.scorer, margin_at_cut_off(self._engine)
        along = margins_along(scorer, x, values)
        margin, error = along or (np.zeros(middle.shape), np.inf)
        with np.errstate(all="ignore"):
            quick = MovingTerm(margin - target - q * middle - s / middle, q, s)
            line, place = np.nonzero(quick.may_reach_0(ends[:, :-1], ends[:, 1:], error + 1e-9))
            moved = x[line]
            for f, value in values.items():
                moved[:, f] = value[line, place]
            exact = scorer.margin(moved) - target if len(line) else np.empty(0)
            at, q, s = middle[line, place], q[line, place], s[line, place]
            roots = MovingTerm(*(part[:, None] for part in (exact - q * at - s / at, q, s))).roots()
        return [by_line(roots, line, len(rows))]

    def _ends(self, rows: Floats, kinks: list[Floats]) -> Floats:
        """Return the kinks of each row, ascending, and one place beyond them on either side."""
        k, now = len(rows), rows[:, self._j, None]
        ends = np.concatenate([np.broadcast_to(kink, (k, kink.shape[1])) for kink in kinks], axis=1)
        ends = np.sort(np.where(np.isfinite(ends), ends, now), axis=1)
        far = 1 + 2 * abs(ends).max(axis=1, keepdims=True)
        ends = np.concatenate((ends[:, :1] - far, ends, ends[:, -1:] + far), axis=1)
        if any(ratio and ratio[2] == self._j for ratio in self._ratios.values()):
            # A denominator keeps its sign, so that the ratio only rises or only falls.
            ends = np.where(now < 0, np.minimum(ends, -SMALLEST), np.maximum(ends, SMALLEST))
        return ends


def by_line(values: Floats, line: NDArray[np.intp], k: int) -> Floats:
    """Return values (n, m) of n ascending lines as one row for each of k lines, NaN to the end."""
    counts = np.bincount(line, minlength=k)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    out = np.full((k, counts.max(initial=0), values.shape[1]), np.nan)
    out[line, np.arange(len(line)) - first[line]] = values
    return out.reshape(k, -1)


def is_general(rule: Rule | Condition) -> bool:
    """Whether a rule has another form than a comparison of two sides."""
    return isinstance(rule, Condition)


def difference(rule: Rule, sides: dict[str, MovingTerm]) -> MovingTerm:
    """Return the left side of a rule less its right side."""
    right = MovingTerm() if rule.right is None else sides[rule.right]
    return sides[rule.left].minus(right, rule.factor, rule.offset)


@lru_cache(maxsize=2)
def margin_at_cut_off(engine: Engine) -> float:
    """Return the log-odds at which the calibrated PD reaches the first that is not approved."""
    low, high = -LARGEST_MARGIN, LARGEST_MARGIN
    while high - low > 1e-12 * max(1.0, abs(low)):
        middle = (low + high) / 2
        approved = engine.model.calibrator(np.array([middle]))[0] < engine.policy.approve_below
        low, high = (middle, high) if approved else (low, middle)
    return (low + high) / 2
