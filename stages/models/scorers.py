"""Fitted models without their training libraries: features (n, F) → margin in log-odds.

Every scorer gives the same bits for a row alone, in a batch, and after pickling: sums run in one
order, threads only divide rows. All also say what each feature contributed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats, bounded

# Below this number of rows a thread pool costs more than it saves.
PARALLEL_ROWS = 1000


class Scorer(Protocol):
    """What a candidate's artifact needs of a fitted model."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that score."""
        ...

    def margin(self, x: Floats) -> Floats:
        """Features (n, F) → log-odds (n,)."""
        ...

    def contributions(self, x: Floats) -> Floats:
        """Features (n, F) → (n, F + 1) Shapley values in log-odds and, last, the expected margin.

        Each row sums to its margin (to rounding).
        """
        ...


@dataclass(eq=False)
class Linear:
    """Numbers in an additive model: `slope * (clip(x or fill) - centre)` for each of k features.

    Where the value is missing, `flag` (k,) is added.
    """

    columns: NDArray[np.intp]
    slope: Floats
    centre: Floats
    low: Floats
    high: Floats
    fill: Floats
    flag: Floats = field(default_factory=lambda: np.zeros(1))

    @classmethod
    def none(cls) -> Linear:
        """No feature at all."""
        return cls(np.zeros(0, dtype=np.intp), *(np.zeros(0) for _ in range(5)))

    def __call__(self, x: Floats) -> Floats:
        """Features (n, F) → terms (n, k)."""
        values = x[:, self.columns]
        missing = np.isnan(values)
        clipped = np.minimum(np.maximum(np.where(missing, self.fill, values), self.low), self.high)
        return (clipped - self.centre) * self.slope + np.where(missing, self.flag, 0.0)


@dataclass(eq=False)
class Table:
    """A feature cut into bins: `values[bin]`, `missing` for NaN.

    Bin i holds `edges[i - 1] <= x < edges[i]`; the codes of a category have edges 0.5, 1.5, ...
    """

    column: int
    edges: Floats
    values: Floats
    missing: float

    def __call__(self, x: Floats) -> Floats:
        """Features (n, F) → terms (n,)."""
        own = x[:, self.column]
        terms = self.values[
            np.searchsorted(self.edges, own, side="right").clip(max=len(self.edges))
        ]
        return np.where(np.isnan(own), self.missing, terms)


@dataclass(eq=False)
class Additive:
    """A logistic regression or a scorecard: the intercept and a term for each feature.

    `expected` (F,) is the mean term on the training rows: a feature's Shapley value in an additive
    model is its term less that mean.
    """

    intercept: float
    linear: Linear
    tables: list[Table]
    expected: Floats = field(default_factory=lambda: np.zeros(0))
    libraries: tuple[str, ...] = ("numpy", "scipy")

    def centred(self, x: Floats) -> Additive:
        """The same model, its expected terms taken from the training rows x (n, F)."""
        self.expected = self.terms(x).mean(axis=0)
        return self

    def terms(self, x: Floats) -> Floats:
        """Features (n, F) → terms (n, F)."""
        out = np.zeros(x.shape)
        out[:, self.linear.columns] = self.linear(x)
        for table in self.tables:
            out[:, table.column] = table(x)
        return out

    def margin(self, x: Floats) -> Floats:
        """Features (n, F) → log-odds (n,)."""
        # A running sum adds in one order whatever n is; np.sum and BLAS do not.
        return self.intercept + np.cumsum(self.terms(x), axis=1)[:, -1]

    def contributions(self, x: Floats) -> Floats:
        """Features (n, F) → (n, F + 1) Shapley values and the expected margin."""
        base = np.full((len(x), 1), self.intercept + self.expected.sum())
        return np.hstack((self.terms(x) - self.expected, base))


@dataclass(eq=False)
class Selected:
    """A scorer of some of the features: `columns` (k,) of F."""

    scorer: Scorer
    columns: NDArray[np.intp]

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that score."""
        return self.scorer.libraries

    def margin(self, x: Floats) -> Floats:
        """Features (n, F) → log-odds (n,)."""
        return self.scorer.margin(x[:, self.columns])

    def contributions(self, x: Floats) -> Floats:
        """Features (n, F) → (n, F + 1) Shapley values, 0 for what is not used."""
        out = np.zeros((x.shape[0], x.shape[1] + 1))
        out[:, [*self.columns, -1]] = self.scorer.contributions(x[:, self.columns])
        return out


class LightGBM:
    """A LightGBM booster, kept as its text."""

    libraries = ("numpy", "scipy", "lightgbm")

    def __init__(self, text: str) -> None:
        self.__setstate__({"text": text})

    def __getstate__(self) -> dict[str, str]:
        return {"text": self.text}

    def __setstate__(self, state: dict[str, str]) -> None:
        import lightgbm  # noqa: PLC0415  (a process that never meets a booster need not have it)

        self.text = state["text"]
        self._booster = lightgbm.Booster(model_str=self.text)

    def margin(self, x: Floats) -> Floats:
        """Features (n, F) → log-odds (n,)."""
        return self._predict(x, raw_score=True)

    def contributions(self, x: Floats) -> Floats:
        """Features (n, F) → (n, F + 1) Shapley values and the expected margin (TreeSHAP)."""
        return self._predict(x, pred_contrib=True)

    def _predict(self, x: Floats, **kind: bool) -> Floats:
        threads = 1 if len(x) < PARALLEL_ROWS else 0
        return np.asarray(self._booster.predict(x, num_threads=threads, **kind))


class XGBoost:
    """An XGBoost booster (boosted or a random forest), kept as its UBJSON bytes."""

    libraries = ("numpy", "scipy", "xgboost")

    def __init__(self, raw: bytes, feature_types: list[str]) -> None:
        self.__setstate__({"raw": raw, "feature_types": feature_types})

    def __getstate__(self) -> dict[str, Any]:
        return {"raw": self.raw, "feature_types": self.feature_types}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import xgboost  # noqa: PLC0415  (a process that never meets a booster need not have it)

        self.raw, self.feature_types = state["raw"], state["feature_types"]
        self._matrix = xgboost.DMatrix
        self._booster = xgboost.Booster(model_file=bytearray(self.raw))
        self._threads: int | None = None

    def margin(self, x: Floats) -> Floats:
        """Features (n, F) → log-odds (n,)."""
        self._use_threads(len(x))
        margin = self._booster.inplace_predict(bounded(x), predict_type="margin")
        return np.asarray(margin, dtype=np.float64)

    def contributions(self, x: Floats) -> Floats:
        """Features (n, F) → (n, F + 1) Shapley values and the expected margin (TreeSHAP)."""
        self._use_threads(len(x))
        rows = self._matrix(bounded(x), feature_types=self.feature_types, enable_categorical=True)
        return np.asarray(self._booster.predict(rows, pred_contribs=True), dtype=np.float64)

    def _use_threads(self, rows: int) -> None:
        threads = 1 if rows < PARALLEL_ROWS else 0
        if threads != self._threads:
            self._booster.set_param({"nthread": threads})
            self._threads = threads
