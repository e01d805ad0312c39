"""Regulatory capital of retail loans by the internal ratings-based approach of Basel.

The formula is that of CRE31 of the Basel framework (paragraphs 328 to 330 of Basel II, June 2006):

    K = LGD * N((G(PD) + sqrt(R) * G(0.999)) / sqrt(1 - R)) - PD * LGD

where N is the normal distribution, G its inverse, and R the correlation of the asset class. The
risk-weighted assets are 12.5 * K * EAD. The scaling factor of 1.06, which some rules add, is left
out. A lender that is not approved for the approach reads K as a measure of unexpected loss.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr, ndtri

from stages.features.matrix import Floats

AssetClass = Literal["other_retail", "mortgage", "revolving"]
CLASSES: tuple[AssetClass, ...] = get_args(AssetClass)
MORTGAGE, REVOLVING = 0.15, 0.04
LOWEST, HIGHEST, DECAY = 0.03, 0.16, 35.0
CONFIDENCE = 0.999
RISK_WEIGHT = 12.5


def correlation(pd: Floats, asset_class: AssetClass) -> Floats:
    """Return the correlation R (n,) of PDs (n,) with the systematic risk."""
    if asset_class == "mortgage":
        return np.full_like(pd, MORTGAGE)
    if asset_class == "revolving":
        return np.full_like(pd, REVOLVING)
    falling = np.expm1(-DECAY * pd) / np.expm1(-DECAY)
    return np.asarray(LOWEST * falling + HIGHEST * (1 - falling))


def requirement(pd: Floats, lgd: Floats | float, asset_class: AssetClass) -> Floats:
    """Return the capital K (n,) per unit exposed, for PDs (n,) and losses given default."""
    r = correlation(pd, asset_class)
    stressed = ndtr((ndtri(pd) + np.sqrt(r) * ndtri(CONFIDENCE)) / np.sqrt(1 - r))
    return np.asarray(lgd * (stressed - pd), dtype=np.float64)
