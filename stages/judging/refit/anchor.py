"""Move the level of PDs to a bad rate: one number is added to the log-odds of all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from stages.features.matrix import Floats
from stages.models.calibration import Calibrator, Isotonic, Sigmoid
from stages.params import ParamsError

FARTHEST = 20.0  # log-odds


def anchor(calibrator: Calibrator, margin: Floats, rate: float) -> Calibrator:
    """Return the calibration under which the mean PD of margins (n,) is a rate between 0 and 1."""

    def error(by: float) -> float:
        return float(move(calibrator, by)(margin).mean()) - rate

    return move(calibrator, float(brentq(error, -FARTHEST, FARTHEST, xtol=1e-12)))


def move(calibrator: Calibrator, by: float) -> Calibrator:
    """Return a calibration with a number added to its log-odds; of an isotonic one, at its knots.

    Raises ParamsError where its form has no place for that.
    """
    if isinstance(calibrator, Sigmoid):
        return replace(calibrator, intercept=calibrator.intercept + by)
    if isinstance(calibrator, Isotonic):
        return Isotonic(calibrator.knots, np.asarray(expit(logit(calibrator.pds) + by)))
    raise ParamsError(
        "params.yaml: refit.anchor: the winner is calibrated by the bad rates of its leaves, which "
        "cannot be moved: set its `calibration: sigmoid`, or refit.anchor: none"
    )
