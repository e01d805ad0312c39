"""Resampling of training rows, for those who want it; it overstates PD unless calibrated after."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.features.matrix import Floats


def resample(x: Floats, bad: Any, kind: str, categories: list[int], fill: Floats, seed: int) -> Any:
    """Balance good and bad rows: `none | undersample | smote | smote_tomek` (Chawla 2002).

    x (n, F), bad (n,), `fill` (F,) stands for missing values where neighbours are sought. Returns
    the resampled x (m, F) and bad (m,).
    """
    if kind == "none":
        return x, bad
    from imblearn import combine, over_sampling, under_sampling  # noqa: PLC0415  (slow to import)

    if kind == "undersample":
        return under_sampling.RandomUnderSampler(random_state=seed).fit_resample(x, bad)
    known = np.where(np.isnan(x), fill, x)
    if categories:
        smote = over_sampling.SMOTENC(categories, random_state=seed)
    else:
        smote = over_sampling.SMOTE(random_state=seed)
    if kind == "smote_tomek":
        return combine.SMOTETomek(smote=smote, random_state=seed).fit_resample(known, bad)
    return smote.fit_resample(known, bad)
