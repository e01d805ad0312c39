"""Fitted models that score without their training libraries.

A scorer turns features (n, F) into margins (n,) in log-odds, and says what each feature contributed
to them. It returns the same bits for a row alone, in a batch, and after pickling: it sums in one
order, and threads only share out the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats, clip_to_float32

# Below this number of rows a thread pool costs more than it saves.
PARALLEL_ROWS = 1000


class Scorer(Protocol):
    """A fitted model, as the artifact of a candidate uses it."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that are needed to score."""
        ...

    def margin(self, x: Floats) -> Floats:
        """Return the log-odds (n,) of the features x (n, F)."""
        ...

    def contributions(self, x: Floats) -> Floats:
        """Return the Shapley values (n, F + 1) of x (n, F) in log-odds, the expected margin last.

        Each row adds up to its margin, to rounding.
        """
        ...


@dataclass(eq=False)
class Linear:
    """The terms of k numbers in an additive model: `slope * (clip(x or fill) - centre)`.

    Where the value of a number is missing, its term is higher by `flag` (k,).
    """

    columns: NDArray[np.intp]
    slope: Floats
    centre: Floats
    low: Floats
    high: Floats
    fill: Floats
    flag: Floats = field(default_factory=lambda: np.zeros(1))

    @classmethod
    def empty(cls) -> Linear:
        """Return the terms of no number at all."""
        return cls(np.zeros(0, dtype=np.intp), *(np.zeros(0) for _ in range(5)))

    def __call__(self, x: Floats) -> Floats:
        """Return the terms (n, k) of the features x (n, F)."""
        values = x[:, self.columns]
        missing = np.isnan(values)
        clipped = np.minimum(np.maximum(np.where(missing, self.fill, values), self.low), self.high)
        return (clipped - self.centre) * self.slope + np.where(missing, self.flag, 0.0)


@dataclass(eq=False)
class Table:
    """The term of a feature that is cut into bins: `values[bin]`, or `missing` for NaN.

    Bin i holds `edges[i - 1] <= x < edges[i]`; the codes of a category have edges 0.5, 1.5, ...
    """

    column: int
    edges: Floats
    values: Floats
    missing: float

    def __call__(self, x: Floats) -> Floats:
        """Return the terms (n,) of the features x (n, F)."""
        column = x[:, self.column]
        places = np.searchsorted(self.edges, column, side="right").clip(max=len(self.edges))
        return np.where(np.isnan(column), self.missing, self.values[places])


@dataclass(eq=False)
class Additive:
    """A logistic regression or a scorecard: an intercept, and one term for each feature.

    `expected` (F,) holds the mean terms of the training rows: in an additive model the Shapley
    value of a feature is its term less that mean.
    """

    intercept: float
    linear: Linear
    tables: list[Table]
    expected: Floats = field(default_factory=lambda: np.zeros(0))
    libraries: tuple[str, ...] = ("numpy", "scipy")

    def fit_expected(self, x: Floats) -> Additive:
        """Take the expected terms from the training rows x (n, F), and return the model."""
        self.expected = self.terms(x).mean(axis=0)
        return self

    def terms(self, x: Floats) -> Floats:
        """Return the terms (n, F) of the features x (n, F)."""
        out = np.zeros(x.shape)
        out[:, self.linear.columns] = self.linear(x)
        for table in self.tables:
            out[:, table.column] = table(x)
        return out

    def margin(self, x: Floats) -> Floats:
        """Return the log-odds (n,) of the features x (n, F)."""
        # A running sum adds in one order whatever n is; np.sum and BLAS do not.
        return self.intercept + np.cumsum(self.terms(x), axis=1)[:, -1]

    def contributions(self, x: Floats) -> Floats:
        """Return the Shapley values (n, F + 1) of x (n, F), the expected margin last."""
        base = np.full((len(x), 1), self.intercept + self.expected.sum())
        return np.hstack((self.terms(x) - self.expected, base))


@dataclass(eq=False)
class Selected:
    """A scorer that reads k of the F features: those at the places `columns` (k,)."""

    scorer: Scorer
    columns: NDArray[np.intp]

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that are needed to score."""
        return self.scorer.libraries

    def margin(self, x: Floats) -> Floats:
        """Return the log-odds (n,) of the features x (n, F)."""
        return self.scorer.margin(x[:, self.columns])

    def contributions(self, x: Floats) -> Floats:
        """Return the Shapley values (n, F + 1) of x (n, F), 0 for features that are not read."""
        out = np.zeros((x.shape[0], x.shape[1] + 1))
        out[:, [*self.columns, -1]] = self.scorer.contributions(x[:, self.columns])
        return out


@dataclass(eq=False)
class WeightedSum:
    """A blend: the sum of the margins of k models, by name, times weights (k,) above 0.

    Shapley values of a sum are sums of Shapley values, and a direction that all keep it keeps too.
    """

    names: list[str]
    scorers: list[Scorer]
    weights: Floats

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that are needed to score."""
        return tuple(dict.fromkeys(name for part in self.scorers for name in part.libraries))

    def margin(self, x: Floats) -> Floats:
        """Return the log-odds (n,) of the features x (n, F)."""
        parts = zip(self.weights, self.scorers, strict=True)
        return np.asarray(sum(weight * part.margin(x) for weight, part in parts))

    def contributions(self, x: Floats) -> Floats:
        """Return the Shapley values (n, F + 1) of x (n, F), the expected margin last."""
        parts = zip(self.weights, self.scorers, strict=True)
        return np.asarray(sum(weight * part.contributions(x) for weight, part in parts))


class XGBoostState(TypedDict):
    """What an XGBoost booster is stored as."""

    raw: bytes
    feature_types: list[str]


class LightGBM:
    """A LightGBM booster, which is stored as its text."""

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
        """Return the log-odds (n,) of the features x (n, F)."""
        return self._predict(x, raw_score=True)

    def contributions(self, x: Floats) -> Floats:
        """Return TreeSHAP's values (n, F + 1) of x (n, F), the expected margin last."""
        return self._predict(x, pred_contrib=True)

    def _predict(self, x: Floats, **output: bool) -> Floats:
        threads = 1 if len(x) < PARALLEL_ROWS else 0
        return np.asarray(self._booster.predict(x, num_threads=threads, **output))


class XGBoost:
    """An XGBoost booster (boosted trees or a random forest), which is stored as UBJSON bytes."""

    libraries = ("numpy", "scipy", "xgboost")

    def __init__(self, raw: bytes, feature_types: list[str]) -> None:
        self.__setstate__({"raw": raw, "feature_types": feature_types})

    def __getstate__(self) -> XGBoostState:
        return {"raw": self.raw, "feature_types": self.feature_types}

    def __setstate__(self, state: XGBoostState) -> None:
        import xgboost  # noqa: PLC0415  (a process that never meets a booster need not have it)

        self.raw, self.feature_types = state["raw"], state["feature_types"]
        self._matrix = xgboost.DMatrix
        self._booster = xgboost.Booster(model_file=bytearray(self.raw))
        self._threads: int | None = None

    def margin(self, x: Floats) -> Floats:
        """Return the log-odds (n,) of the features x (n, F)."""
        self._use_threads(len(x))
        margin = self._booster.inplace_predict(clip_to_float32(x), predict_type="margin")
        return np.asarray(margin, dtype=np.float64)

    def contributions(self, x: Floats) -> Floats:
        """Return TreeSHAP's values (n, F + 1) of x (n, F), the expected margin last."""
        self._use_threads(len(x))
        values = clip_to_float32(x)
        rows = self._matrix(values, feature_types=self.feature_types, enable_categorical=True)
        return np.asarray(self._booster.predict(rows, pred_contribs=True), dtype=np.float64)

    def _use_threads(self, rows: int) -> None:
        threads = 1 if rows < PARALLEL_ROWS else 0
        if threads != self._threads:
            self._booster.set_param({"nthread": threads})
            self._threads = threads
