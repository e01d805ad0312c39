"""Simulate rows with outcomes and PDs."""

import numpy as np

from stages.metrics.ranked_rows import Bools, Floats

CUT_OFF = 0.3


def book(rows: int, seed: int = 0, noise: float = 0.0) -> tuple[Bools, Floats]:
    """Return outcomes (n,) and PDs (n,) that are calibrated but for noise in their log-odds."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(-1.5, 1.5, rows)
    bad = generator.random(rows) < 1 / (1 + np.exp(-odds))
    return bad, 1 / (1 + np.exp(-(odds + noise * generator.normal(size=rows))))
