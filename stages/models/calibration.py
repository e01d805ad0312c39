"""Calibrate a model: maps from its margin to a PD, fitted on rows that it was not trained on.

No PD is ever exactly 0 or 1: no number of loans shows that, and the score of such a PD is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, logit

from stages.features.matrix import Floats, Outcomes

# The PD of an isotonic step, or of leaves, that holds no bad (or only bad) rows.
SMALLEST = 1e-4
# Smaller than any loan book can support, and large enough that 1 less it is below 1.
NEARLY_CERTAIN = 1e-9


class Calibrator(Protocol):
    """A map from margins (n,) in log-odds to PDs (n,)."""

    def __call__(self, margin: Floats) -> Floats:
        """Return the PD of each margin."""
        ...


@dataclass(frozen=True)
class Sigmoid:
    """The map `PD = 1 / (1 + exp(-(slope * margin + intercept)))` (Platt 1999).

    With slope 1 and intercept 0 the margin is taken for the log-odds as it is.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, margin: Floats) -> Floats:
        """Return the PD of each margin."""
        pd = expit(self.slope * margin + self.intercept)
        return np.asarray(np.clip(pd, NEARLY_CERTAIN, 1 - NEARLY_CERTAIN))

    @classmethod
    def fit(cls, margin: Floats, bad: Outcomes) -> Sigmoid:
        """Fit both numbers by maximum likelihood on held-out margins (n,) and outcomes (n,).

        The outcomes are Platt's targets: each of `bads` bad rows counts as bad to
        `(bads + 1) / (bads + 2)`, and each of `goods` good rows to `1 / (goods + 2)`. With them the
        slope is finite even where the margins separate the outcomes.
        """
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        bads = int(np.sum(bad))
        goods = len(bad) - bads
        share_bad = np.where(bad == 1, (bads + 1) / (bads + 2), 1 / (goods + 2))
        centre, spread = float(margin.mean()), float(margin.std()) or 1.0
        unit = np.tile((margin - centre) / spread, 2)[:, None]
        outcomes = np.repeat([1, 0], len(margin))
        weights = np.concatenate((share_bad, 1 - share_bad))
        fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
        fitted.fit(unit, outcomes, sample_weight=weights)
        slope = float(fitted.coef_[0, 0]) / spread
        return cls(slope, float(fitted.intercept_[0]) - slope * centre)


@dataclass(frozen=True, eq=False)
class Isotonic:
    """A non-decreasing piecewise linear map through `knots` (k,) and `pds` (k,)."""

    knots: Floats
    pds: Floats

    def __call__(self, margin: Floats) -> Floats:
        """Return the PD of each margin."""
        return np.interp(margin, self.knots, self.pds)

    @classmethod
    def fit(cls, margin: Floats, bad: Outcomes) -> Isotonic:
        """Fit by pool-adjacent-violators on held-out margins (n,) and outcomes (n,)."""
        from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415

        fitted = IsotonicRegression(y_min=SMALLEST, y_max=1 - SMALLEST).fit(margin, bad)
        return cls(fitted.X_thresholds_, fitted.y_thresholds_)


@dataclass(frozen=True)
class ForestShare:
    """The map from a forest's margin to the mean bad rate of its leaves.

    A boosted random forest takes one Newton step from the log-odds of the `prior`, so its margin is
    `logit(prior) + (share - prior) / (prior * (1 - prior))`, which is solved for the share here.
    """

    prior: float

    def __call__(self, margin: Floats) -> Floats:
        """Return the PD of each margin."""
        step = (margin - logit(self.prior)) * self.prior * (1 - self.prior)
        return np.asarray(np.clip(self.prior + step, SMALLEST, 1 - SMALLEST))
