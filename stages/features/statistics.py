"""How features relate to the outcome and to one another; all of it fitted on training rows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from stages.contract.schema import ContractError
from stages.features.matrix import Features, Floats
from stages.params import Candidate, Featurize

# Half a row in an empty cell keeps every WoE finite (Siddiqi 2006).
SMOOTHING = 0.5


@dataclass
class Fitted:
    """Facts about the F features of the training rows, by name or in the features' order.

    Attributes
    ----------
    iv : information value of each feature.
    vif : variance inflation factor of each feature, missing values at their fill.
    correlation : (F, F) Pearson correlation, missing values at their fill.
    fill, low, high, mean, sd : median, clip bounds, and moments after clipping.
    """

    names: list[str]
    iv: list[float]
    vif: list[float]
    correlation: list[list[float]]
    fill: list[float]
    low: list[float]
    high: list[float]
    mean: list[float]
    sd: list[float]

    @classmethod
    def fit(cls, features: Features, x: Floats, bad: Any, config: Featurize) -> Fitted:
        """Fit on the training matrix x (n, F) and outcomes bad (n,).

        Raises ContractError for a feature without any value.
        """
        empty = np.isnan(x).all(axis=0)
        if empty.any():
            name = features.names[int(empty.argmax())]
            raise ContractError(f"{name}: every value is missing in the {len(x):,} training rows")
        fill = np.nanmedian(x, axis=0)
        low, high = np.nanquantile(x, [config.clip, 1 - config.clip], axis=0)
        known = np.clip(np.where(np.isnan(x), fill, x), low, high)
        mean, sd = known.mean(axis=0), known.std(axis=0)
        scaled = (known - mean) / np.where(sd == 0, 1, sd)
        with threadpool_limits(1):
            correlation = np.round(scaled.T @ scaled / len(x), 9)
            np.fill_diagonal(correlation, 1)
            vif = np.diag(np.linalg.pinv(correlation))
        iv = [information_value(x[:, j], bad, config.bins) for j in range(x.shape[1])]
        rounded = (np.round(v, 9).tolist() for v in (iv, vif, correlation))
        kept = (v.tolist() for v in (fill, low, high, mean, np.where(sd == 0, 1, sd)))
        return cls(list(features.names), *rounded, *kept)

    def to_json(self) -> str:
        """The facts as JSON text."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Fitted:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


def quantile_edges(known: Floats, bins: int) -> Floats:
    """Ascending edges that cut the values (n,) at their quantiles into about `bins` bins.

    A bin holds its lower edge. A value that several quantiles share is a bin of its own: else
    many zeros and a few recoveries, which only bad loans have, were one bin.
    """
    quantiles = np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])
    edges, times = np.unique(quantiles, return_counts=True)
    values = np.unique(known)
    following = np.searchsorted(values, edges[times > 1], side="right")
    return np.union1d(edges, values[following[following < len(values)]])


def information_value(x: Floats, bad: Any, bins: int) -> float:
    """IV = sum over bins of (share of good - share of bad) * WoE (Kullback 1959, Siddiqi 2006).

    x (n,) is cut at its quantiles into about `bins` bins, few distinct values each into their
    own; missing values are a bin, and so is a value that several quantiles share.
    """
    known = x[~np.isnan(x)]
    edges = np.unique(known)[1:]
    if len(edges) >= bins:
        edges = quantile_edges(known, bins)
    cell = np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x, side="right"))
    rows = np.bincount(cell, minlength=len(edges) + 2)
    bads = np.bincount(cell, weights=bad, minlength=len(edges) + 2)
    used = rows > 0
    smooth_bad, smooth_good = bads[used] + SMOOTHING, (rows - bads)[used] + SMOOTHING
    share_bad, share_good = smooth_bad / smooth_bad.sum(), smooth_good / smooth_good.sum()
    return float(np.sum((share_good - share_bad) * np.log(share_good / share_bad)))


def select(fitted: Fitted, rules: Candidate) -> list[int]:
    """Indices of the features a candidate keeps: by IV, then by correlation, then by VIF.

    Of two features too alike, the one of higher IV stays. Raises ValueError if none is left.
    """
    by_iv = sorted(range(len(fitted.names)), key=lambda j: (-fitted.iv[j], j))
    kept: list[int] = []
    correlation = np.abs(np.array(fitted.correlation))
    for j in by_iv:
        weak = fitted.iv[j] < rules.min_iv
        limit = rules.max_correlation
        alike = limit is not None and any(correlation[j, k] > limit for k in kept)
        if not weak and not alike:
            kept.append(j)
    kept.sort()
    while rules.max_vif is not None and len(kept) > 1:
        vif = np.diag(np.linalg.pinv(np.array(fitted.correlation)[np.ix_(kept, kept)]))
        if vif.max() <= rules.max_vif:
            break
        kept.pop(int(vif.argmax()))
    if not kept:
        best = fitted.names[by_iv[0]]
        raise ValueError(
            f"min_iv {rules.min_iv} leaves no feature; the highest IV is "
            f"{fitted.iv[by_iv[0]]:.3f} ({best})"
        )
    return kept
