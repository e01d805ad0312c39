"""Tell where the PD does not rise as an unusual value comes to the usual range.

A sentence that calls a value high or low tells a person that a usual one is better. Where the model
does not agree, for this applicant, such a sentence would mislead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from service.decision.sentences import UsualRange
from stages.contract.derived import Derived
from stages.contract.fields.field import Field
from stages.features.matrix import Features, Floats

Bools = NDArray[np.bool_]
EVERYTHING = UsualRange(-np.inf, np.inf)


class UsualValues:
    """The usual ranges of the approved, and the model whose PDs are compared.

    `ranges` are by feature, and `predict` returns the PDs (n,) of features (n, F).
    """

    def __init__(
        self,
        features: Features,
        ranges: Mapping[str, UsualRange],
        predict: Callable[[Floats], Floats],
    ) -> None:
        self._predict, self._names = predict, features.names
        self._ratios = {
            f: part.ratio
            for f, part in enumerate(features.parts)
            if isinstance(part, Derived) and part.ratio
        }
        self._ranges = {
            j: ranges[part.name]
            for j, part in enumerate(features.parts)
            if part.name in ranges and not (isinstance(part, Field) and part.codes)
        }
        self._linked = {j: self._find_linked(j) for j in self._ranges}
        usual = [self._ranges.get(j, EVERYTHING) for j in range(len(features.parts))]
        self._low = np.array([each.low for each in usual])
        self._high = np.array([each.high for each in usual])

    def are_better(self, x: Floats, pd: Floats, asked: Bools) -> Bools:
        """Tell which features (n, F) are unusual, with a PD that does not rise at the usual end.

        `x` are features (n, F) and `pd` their PDs (n,); of features that are not `asked` about
        (n, F), it is False.
        """
        better = np.zeros(x.shape, dtype=np.bool_)
        unusual = asked & ((x < self._low) | (x > self._high))
        moved = {}
        for j in np.flatnonzero(unusual.any(axis=0)).tolist():
            rows = np.flatnonzero(unusual[:, j])
            moved[j] = rows, self._move(x[rows], j, self._ranges[j])
        if not moved:
            return better
        pds = self._predict(np.concatenate([values for _, values in moved.values()]))
        start = 0
        for j, (rows, values) in moved.items():
            better[rows, j] = pds[start : start + len(values)] <= pd[rows]
            start += len(values)
        return better

    def _find_linked(self, j: int) -> tuple[list[int], list[int]]:
        """Return the features that move with feature j: by its factor, and by the inverse of it.

        Its field moves, which is the feature's own or a ratio's numerator, and so do other ratios
        of this field.
        """
        field = self._ratios[j].numerator if j in self._ratios else self._names[j]
        same = [f for f, ratio in self._ratios.items() if ratio.numerator == field]
        if field in self._names:
            same.append(self._names.index(field))
        inverse = [f for f, ratio in self._ratios.items() if ratio.denominator == field]
        return [f for f in same if f != j], [f for f in inverse if f not in (j, *same)]

    def _move(self, x: Floats, j: int, usual: UsualRange) -> Floats:
        """Return features (k, F) with feature j at the end of its range, and the linked ones."""
        moved = x.copy()
        ends = moved[:, j] = np.clip(x[:, j], usual.low, usual.high)
        same, inverse = self._linked[j]
        with np.errstate(divide="ignore", invalid="ignore"):
            if same:
                scale(moved, same, ends / x[:, j])
            if inverse:
                scale(moved, inverse, x[:, j] / ends)
        return moved


def scale(x: Floats, features: list[int], factor: Floats) -> None:
    """Multiply some features of x (k, F) by a factor (k,), where there is one."""
    x[:, features] *= np.where(np.isfinite(factor), factor, 1.0)[:, None]
