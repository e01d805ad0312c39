"""Search what would change a decision: the smallest changes of fields that lead to approval.

Only fields that the contract calls actionable are changed. Each is tried alone over its whole
allowed range, first coarsely and then ever more finely; pairs are tried where no field suffices.
Every change that is returned was decided by the engine and approved.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decision.engine import Decision, Engine
from stages.contract.schema import Field
from stages.features.matrix import Floats, decode

FINE = 64  # values to try of one field alone
COARSE = 16  # values to try of each field of a pair
ROUNDS = 5  # refinements; each divides the step by FINE
FINEST = 0.001  # of a field's present value: no smaller step is tried
FAR = 100.0  # times the present value: the end of a range that the contract leaves open


class Search:
    """The search for one application."""

    def __init__(self, engine: Engine, application: dict[str, Any]) -> None:
        self._engine, self._application = engine, application
        self._row = engine.encoded(application)[0]
        known = [(j, f) for j, f in enumerate(engine.features.inputs) if f.actionable]
        self._fields = {j: f for j, f in known if not np.isnan(self._row[j])}

    def answer(self, decision: str) -> dict[str, Any]:
        """Return the ways to approval, the smallest first, and a sentence about them."""
        titles = ", ".join(f.title or f.name for f in self._fields.values())
        if decision == "approve":
            return {"statement": "The application is approved as it stands.", "ways": []}
        if not titles:
            return {"statement": "There is nothing that the applicant could change.", "ways": []}
        ways = self._singles() or self._pairs()
        if ways:
            return {"statement": "Each of these would lead to approval.", "ways": ways}
        return {"statement": f"No change of {titles} would lead to approval.", "ways": []}

    def _singles(self) -> list[dict[str, Any]]:
        nearest = [(j, self._nearest(self._row, j)) for j in self._fields]
        reached = [{j: value} for j, value in nearest if value is not None]
        return self._approvals(sorted(reached, key=self._size))

    def _pairs(self) -> list[dict[str, Any]]:
        pairs = [pair for two in combinations(self._fields, 2) if (pair := self._pair(*two))]
        return self._approvals(sorted(pairs, key=self._size)[:1])

    def _pair(self, one: int, other: int) -> dict[int, float] | None:
        values = [steps(self._fields[j], self._row[j], COARSE) for j in (one, other)]
        places = [{one: a, other: b} for a, b in product(*values)]
        if not places:
            return None
        rows = np.vstack([self._with(place) for place in places])
        approved = self._approved(rows)
        reached = [place for place, good in zip(places, approved, strict=True) if good]
        if not reached:
            return None
        best = min(reached, key=self._size)
        for j, fixed in ((one, other), (other, one)):
            row = self._with({fixed: best[fixed]})
            nearer = self._nearest(row, j, best[j])
            best[j] = best[j] if nearer is None else nearer
        return best

    def _nearest(self, row: Floats, j: int, end: float | None = None) -> float | None:
        """Return the approved value of field j that is nearest to the present one.

        The other fields keep their values in `row`; `end` bounds the search. None: no value is.
        """
        field, now = self._fields[j], self._row[j]
        values = steps(field, now, FINE, end)
        before = now
        best: float | None = None
        for _ in range(ROUNDS if len(values) else 0):
            rows = np.repeat(row[None], len(values), axis=0)
            rows[:, j] = values
            approved = self._approved(rows)
            if not approved.any():
                break
            place = int(approved.argmax())
            best, before = float(values[place]), values[place - 1] if place else before
            if field.codes:
                break
            values = between(field, float(before), best)
        return None if best is None else self._rounded(row, j, best)

    def _rounded(self, row: Floats, j: int, value: float) -> float:
        """Round a value to few digits, away from the present one, where that is approved too."""
        field, now = self._fields[j], float(self._row[j])
        if field.codes or field.type == "integer" or value == now:
            return value
        low, high = reach(field, now)
        for digits in (3, 4, 6):
            unit = 10.0 ** (np.floor(np.log10(abs(value - now))) - digits + 1)
            away = np.ceil if value > now else np.floor
            near = float(np.clip(round(float(away(value / unit) * unit), 9), low, high))
            changed = row.copy()
            changed[j] = near
            if self._approved(changed[None])[0]:
                return near
        return value

    def _with(self, place: dict[int, float]) -> Floats:
        row: Floats = self._row.copy()
        row[list(place)] = list(place.values())
        return row

    def _size(self, place: dict[int, float]) -> float:
        """Return how large a change is: the sum of the relative changes of its fields."""
        now = self._row.tolist()
        return float(sum(abs(v - now[j]) / (abs(now[j]) or 1.0) for j, v in place.items()))

    def _approved(self, rows: Floats) -> NDArray[np.bool_]:
        """Tell which encoded rows (n, inputs) are approved and keep the contract's checks: (n,)."""
        engine = self._engine
        x = engine.features.matrix(rows)
        places = engine.policy.decide(engine.model.predict_matrix(x), engine.by_name(x))
        columns = {f.name: rows[:, j] for j, f in enumerate(engine.features.inputs)}
        keeps = engine.applications.keep_rules(columns, self._application)
        approved: NDArray[np.bool_] = (places == 0) & keeps
        return approved

    def _approvals(self, places: list[dict[int, float]]) -> list[dict[str, Any]]:
        """Return the changes that the engine approves, as `/explain` answers them."""
        decided = [(place, self._decide(place)) for place in places]
        return [
            {
                "changes": [self._change(j, value) for j, value in place.items()],
                "default_probability": decision.default_probability,
                "credit_score": decision.credit_score,
                "decision": decision.decision,
            }
            for place, decision in decided
            if decision.decision == "approve"
        ]

    def _decide(self, place: dict[int, float]) -> Decision:
        changed = {self._fields[j].name: raw(self._fields[j], v) for j, v in place.items()}
        stated = self._engine.applications.stated
        kept = {k: v for k, v in self._application.items() if k not in stated}
        return self._engine.decide(kept | changed)

    def _change(self, j: int, value: float) -> dict[str, Any]:
        field = self._fields[j]
        return {
            "field": field.name,
            "title": field.title or field.name,
            "unit": field.unit,
            "from": self._application.get(field.name),
            "to": raw(field, value),
        }


def raw(field: Field, value: float) -> Any:
    """Return an encoded value as a request would write it: 54409, not 54409.0."""
    decoded = decode(field, value)
    return int(decoded) if type(decoded) is float and decoded.is_integer() else decoded


def reach(field: Field, now: float) -> tuple[float, float]:
    """Return the lowest and the highest value that a field may be changed to."""
    low, high = field.constraints.minimum, field.constraints.maximum
    far = FAR * (abs(now) or 1.0)
    low, high = now - far if low is None else low, now + far if high is None else high
    if field.actionable == "increase":
        low = now
    if field.actionable == "decrease":
        high = now
    return low, high


def steps(field: Field, now: float, count: int, end: float | None = None) -> Floats:
    """Return the values to try, the nearest to `now` first; steps grow with the distance."""
    if field.codes:
        return codes(field, now)
    ends = reach(field, now) if end is None else (end,)
    values = [to for bound in ends for to in towards(field, now, bound, count)]
    return np.array(sorted(set(values), key=lambda value: abs(value - now)))


def codes(field: Field, now: float) -> Floats:
    """Return the other codes of a category; only those in its direction where it is ordered."""
    others = sorted({code for code in field.codes.values() if code != now})
    if field.actionable == "increase":
        others = [code for code in others if code > now]
    if field.actionable == "decrease":
        others = [code for code in others if code < now]
    return np.array(sorted(others, key=lambda code: abs(code - now)))


def towards(field: Field, now: float, bound: float, count: int) -> list[float]:
    """Return `count` values or fewer from `now`, which is left out, to `bound`."""
    distance = abs(bound - now)
    if distance == 0:
        return []
    whole = field.type == "integer"
    first = min(max(FINEST * abs(now), 1.0 if whole else FINEST * 1e-3), distance)
    away = np.geomspace(first, distance, count)
    away[-1] = distance
    away = np.unique(np.ceil(away)) if whole else away
    return (now + np.sign(bound - now) * away).tolist()  # type: ignore[no-any-return]


def between(field: Field, low: float, high: float) -> Floats:
    """Return values after `low` up to `high`, at equal distances."""
    values = np.linspace(low, high, FINE + 1)[1:]
    if field.type != "integer":
        return values
    whole = np.ceil(values) if high > low else np.floor(values)
    _, places = np.unique(whole, return_index=True)
    return whole[np.sort(places)]
