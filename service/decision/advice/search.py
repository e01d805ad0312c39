"""Search the smallest changes of one field, and of two, that lead to approval.

Only fields that the contract calls actionable are changed, each in its direction and to multiples
of its `step`. The size of a change is the sum of the relative changes of its fields. The model, the
policy's rules and the contract's checks can only change their answer at known breakpoints, so it is
enough to ask about the allowed values beside them: what is found is the smallest change there is.
Every change that is returned was decided by the engine and approved.
"""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import Any

import numpy as np

from service.decision.advice.advised_changes import AdvisedChange, approved_ways
from service.decision.advice.allowed_values import AllowedValues, codes_of, sides_of
from service.decision.advice.approvals import Approvals
from service.decision.advice.bounds import Bounds
from service.decision.advice.breakpoints import Breakpoints
from service.decision.engine import Engine
from stages.features.matrix import Floats

MOST_WAYS = 6  # changes that are returned
MOST_VALUES = 2000  # of one field of a pair are all tried; of more, this many
TOGETHER = 64  # of these at once
NOTHING: dict[str, Any] = {"proved": True, "ways": []}


class AdviceSearch:
    """The search for one application."""

    def __init__(self, engine: Engine, application: dict[str, Any]) -> None:
        self._engine, self._application = engine, application
        self._row = engine.encode(application)[0]
        inputs = list(enumerate(engine.features.inputs))
        self._fields = {j: f for j, f in inputs if f.actionable and not np.isnan(self._row[j])}
        self._breakpoints = {j: Breakpoints(engine, j) for j in self._fields}
        self._approvals = Approvals(engine, application)
        self._bounds = Bounds(engine, self._row, self._breakpoints)
        under = {d.ratio.denominator for d in engine.contract.derived.values() if d.ratio}
        self._allowed = {
            (j, side): AllowedValues(f, float(self._row[j]), side, f.name in under)
            for j, f in self._fields.items()
            if not f.codes
            for side in sides_of(f)
        }
        self._complete = all(breakpoints.complete for breakpoints in self._breakpoints.values())

    def answer(self, decision: str) -> dict[str, Any]:
        """Return the ways to approval, the smallest first, and a sentence about them.

        `proved` says that no smaller allowed change of one or two fields is approved.
        """
        if decision == "approve":
            return NOTHING | {"statement": "The application is approved as it stands."}
        if not self._fields:
            return NOTHING | {"statement": "There is nothing that the applicant could change."}
        singles = {j: way for j in self._fields if (way := self._single(j))}
        smallest = sorted(singles.values(), key=self._size)[:MOST_WAYS]
        for a, b in combinations(self._fields, 2):
            most = self._size(smallest[-1]) if len(smallest) == MOST_WAYS else math.inf
            if pair := self._pair(a, b, singles, most):
                smallest = sorted([*smallest, pair], key=self._size)[:MOST_WAYS]
        ways = approved_ways(self._engine, self._application, smallest)
        if ways:
            statement = "Each of these would lead to approval."
            return {"statement": statement, "proved": self._complete, "ways": ways}
        titles = ", ".join(f.title or f.name for f in self._fields.values())
        nothing = f"No change of {titles}, alone or two together, would lead to approval."
        return {"statement": nothing, "proved": self._complete, "ways": []}

    def _single(self, j: int) -> list[AdvisedChange] | None:
        """Return the smallest change of only field j."""
        changes = [self._nearest(self._row, j, side) for side in sides_of(self._fields[j])]
        return min(([change] for change in changes if change), key=self._size, default=None)

    def _nearest(self, row: Floats, j: int, side: int) -> AdvisedChange | None:
        """Return the nearest approved value of field j on one side, the others as in `row`."""
        values = self._values(row[None], j, side)
        approved = self._approvals.along(row[None], self._breakpoints[j], j, values)[0]
        if not approved.any():
            return None
        first = int(approved.argmax())
        value, refused = float(values[0, first]), np.flatnonzero(~approved[first:])
        if self._fields[j].codes or not len(refused):
            return AdvisedChange(j, value)
        return AdvisedChange(j, value, float(values[0, first + refused[0] - 1]))

    def _values(self, rows: Floats, j: int, side: int, other: int | None = None) -> Floats:
        """Return the values (k, m) of field j to ask about, the nearest of each row first.

        They are the same for every value of the `other` field.
        """
        field = self._fields[j]
        if field.codes:
            codes = codes_of(field, self._row[j])
            codes = codes[codes > self._row[j]] if side > 0 else codes[codes < self._row[j]]
            return np.repeat(codes[None], len(rows), axis=0)
        allowed, breakpoints = self._allowed[j, side], self._breakpoints[j]
        if allowed.count == 0:
            return np.empty((len(rows), 0))
        with_other = None if other is None else self._breakpoints[other]
        places = breakpoints.places(rows, self._engine.features.matrix(rows), with_other)
        if not breakpoints.complete:
            places = np.hstack((places, np.tile(allowed.within(math.inf, 64)[0], (len(rows), 1))))
        values = allowed.near(places)
        return values if len(rows) > 1 else np.unique(values)[:: allowed.side][None]

    def _pair(
        self, a: int, b: int, singles: dict[int, list[AdvisedChange]], most: float
    ) -> list[AdvisedChange] | None:
        """Return the smallest change of two fields, where it is smaller than that of either.

        It is also smaller than `most`.
        """
        limit = min(most, *(self._size(singles.get(j)) for j in (a, b)))
        best: list[AdvisedChange] | None = None
        outer, inner = self._order(a, b, limit)
        for side, other in product(*(sides_of(self._fields[j]) for j in (outer, inner))):
            better = self._best_of_lines(outer, side, inner, other, min(limit, self._size(best)))
            best = better or best
        return best and self._with_ends(best)

    def _order(self, a: int, b: int, limit: float) -> tuple[int, int]:
        """Return the pair with that field first all of whose values are asked about."""
        if self._fields[a].codes or self._fields[b].codes:
            return (a, b) if self._fields[a].codes else (b, a)
        counts = {
            j: sum(
                min(values.count, limit * abs(values.now or 1.0) / values.step)
                for (field, _), values in self._allowed.items()
                if field == j
            )
            for j in (a, b)
        }
        return (a, b) if counts[a] <= counts[b] else (b, a)

    def _best_of_lines(
        self, outer: int, side: int, inner: int, other: int, limit: float
    ) -> list[AdvisedChange] | None:
        """Return the smallest change on two sides that is smaller than the limit.

        Each value of the outer field is a line, along which the inner one moves.
        """
        best, coupled = None, self._are_coupled(outer, inner)
        if self._are_refused(outer, self._ends(outer, side, limit), inner, other, limit):
            return None
        values = self._outer_values(outer, side, inner, limit)
        shared = None if coupled else self._values(self._row[None], inner, other, outer)
        for start in range(0, len(values), TOGETHER):
            some = values[start : start + TOGETHER]
            some = some[self._sizes(outer, some) < limit]
            if not len(some):
                break
            room = limit - self._sizes(outer, some[0])
            if self._are_refused(outer, some, inner, other, room):
                continue
            rows = np.repeat(self._row[None], len(some), axis=0)
            rows[:, outer] = some
            lines = self._values(rows, inner, other) if shared is None else shared
            lines = lines[:, : int((self._sizes(inner, lines) < room).sum(axis=1).max())]
            if not lines.size:
                continue
            lines = np.broadcast_to(lines, (len(some), lines.shape[1]))
            approved = self._approvals.along(rows, self._breakpoints[inner], inner, lines)
            first = approved.argmax(axis=1)
            nearest = lines[np.arange(len(some)), first]
            sizes = self._sizes(outer, some) + self._sizes(inner, nearest)
            sizes = np.where(approved.any(axis=1), sizes, np.inf)
            line = int(sizes.argmin())
            if sizes[line] < limit:
                pair = ((outer, some[line]), (inner, nearest[line]))
                best = [AdvisedChange(j, float(value)) for j, value in pair]
                limit = float(sizes[line])
        return best

    def _are_refused(self, outer: int, values: Floats, inner: int, other: int, room: float) -> bool:
        """Return whether no value of the inner field is approved beside those of the outer one."""
        ends = self._ends(inner, other, room)
        if not (len(values) and len(ends)):
            return True
        ranges = {outer: (values.min(), values.max()), inner: (ends.min(), ends.max())}
        return self._bounds.refuse(ranges)

    def _ends(self, j: int, side: int, limit: float) -> Floats:
        """Return values between which all those of field j lie that are no larger changes."""
        if self._fields[j].codes:
            return np.asarray(self._values(self._row[None], j, side)[0])
        now = float(self._row[j])
        if self._allowed[j, side].count == 0:
            return np.empty(0)
        return np.array([now, self._allowed[j, side].farthest(limit * (abs(now) or 1.0))])

    def _outer_values(self, outer: int, side: int, inner: int, limit: float) -> Floats:
        """Return the values of the outer field to ask about, the nearest first."""
        field, now = self._fields[outer], float(self._row[outer])
        if field.codes or not self._are_coupled(outer, inner):
            return np.asarray(self._values(self._row[None], outer, side, inner)[0])
        values, all_of_them = self._allowed[outer, side].within(
            limit * (abs(now) or 1.0), MOST_VALUES
        )
        self._complete &= all_of_them
        return values

    def _are_coupled(self, a: int, b: int) -> bool:
        """Return whether breakpoints of one field, or the PD between them, move with the other."""
        if any(self._breakpoints[j].continuous for j in (a, b)):
            return True
        contract, names = self._engine.contract, {self._fields[a].name, self._fields[b].name}
        sources = dict(zip(self._engine.features.names, self._engine.features.sources, strict=True))
        read = [{*contract.sources_of(d)} for d in contract.derived.values()]
        read += [{*check.parsed.fields} for check in contract.checks.values()]
        for rule in self._engine.policy.rules:
            read.append({name for field in rule.parsed.fields for name in sources[field]})
        return any(names <= together for together in read)

    def _with_ends(self, pair: list[AdvisedChange]) -> list[AdvisedChange]:
        """Return a pair with the ends of what is approved: of each field, the other as advised."""
        ended = []
        for change, other in (pair, pair[::-1]):
            row = self._row.copy()
            row[other.j] = other.value
            side = 1 if change.value > self._row[change.j] else -1
            ended.append(self._nearest(row, change.j, side) or change)
        return ended

    def _sizes(self, j: int, values: Floats | float) -> Any:
        now = self._row[j]
        return abs(values - now) / (abs(now) or 1.0)

    def _size(self, changes: list[AdvisedChange] | None) -> float:
        """Return how large changes are together; infinite for None."""
        if changes is None:
            return math.inf
        return float(sum(self._sizes(change.j, change.value) for change in changes))
