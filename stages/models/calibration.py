"""From a model's margin to an honest PD: fitted on margins of rows the model did not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, logit

from stages.features.matrix import Floats

# An isotonic step may hold no bad (or only bad) rows; no PD is ever served as exactly 0 or 1.
SMALLEST = 1e-4


class Calibrator(Protocol):
    """Margin (n,) → PD (n,), both float64."""

    def __call__(self, margin: Floats) -> Floats:
        """Return the PD of each margin."""
        ...


@dataclass(frozen=True)
class Sigmoid:
    """`PD = 1 / (1 + exp(-(slope * margin + intercept)))` (Platt 1999).

    Slope 1 and intercept 0 take the margin as log-odds.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, margin: Floats) -> Floats:
        """Return the PD of each margin."""
        return np.asarray(expit(self.slope * margin + self.intercept))

    @classmethod
    def fit(cls, margin: Floats, bad: Floats) -> Sigmoid:
        """Fit both numbers by maximum likelihood on held-out margins (n,) and outcomes (n,)."""
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        fitted = LogisticRegression(C=np.inf).fit(margin[:, None], bad)
        return cls(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


@dataclass(frozen=True, eq=False)
class Isotonic:
    """A non-decreasing piecewise linear map through `knots` (k,) and `pds` (k,)."""

    knots: Floats
    pds: Floats

    def __call__(self, margin: Floats) -> Floats:
        """Return the PD of each margin."""
        return np.interp(margin, self.knots, self.pds)

    @classmethod
    def fit(cls, margin: Floats, bad: Floats) -> Isotonic:
        """Fit by pool-adjacent-violators on held-out margins (n,) and outcomes (n,)."""
        from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415

        fitted = IsotonicRegression(y_min=SMALLEST, y_max=1 - SMALLEST).fit(margin, bad)
        return cls(fitted.X_thresholds_, fitted.y_thresholds_)


@dataclass(frozen=True)
class ForestShare:
    """The mean bad rate of a forest's leaves, from its one-step margin.

    A boosted random forest takes one Newton step from the log-odds of the `prior`, so its margin is
    `logit(prior) + (share - prior) / (prior * (1 - prior))`; this solves it for the share.
    """

    prior: float

    def __call__(self, margin: Floats) -> Floats:
        """Return the PD of each margin."""
        step = (margin - logit(self.prior)) * self.prior * (1 - self.prior)
        return np.asarray(np.clip(self.prior + step, SMALLEST, 1 - SMALLEST))
