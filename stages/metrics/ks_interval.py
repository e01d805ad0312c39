"""The 95 % interval of KS, the widest gap between the shares of goods and of bads below a PD.

A maximum over thresholds exceeds the gap at the true best one. Near a peak, where noise moves like
a Brownian path over a parabola, the excess grows with the noise's variance to the power 2/3. A
resample has twice the variance of the rows, so it exceeds them by 2 ** (2/3) - 1 of their excess.
"""

import numpy as np

from stages.metrics.clusters import STANDARD_ERRORS, Codes, design_effect, standard_errors
from stages.metrics.ranked_rows import Floats, RankedRows, ResampledCounts
from stages.metrics.rate_intervals import Interval, wilson

EXCESS = 1 / (2 ** (2 / 3) - 1)  # of the rows, in units of what resamples exceed them by
WIDER = 1.1  # the margin, since the excess is an estimate too (benches/judging/coverage.py)


def ks_interval(
    ranked: RankedRows, counts: ResampledCounts, resampled: Floats, cluster: Codes | None
) -> Interval:
    """Return KS with the interval of the gap at its threshold, less the excess of a maximum.

    `resampled` holds KS on resamples of the rows. Rows of one `cluster` (n,) count for fewer.
    """
    good = np.cumsum(counts.goods[0]) / counts.all_goods[0]
    bad = np.cumsum(counts.bads[0]) / counts.all_bads[0]
    gap = np.abs(good - bad)
    widest = int(np.argmax(gap))
    observed = float(gap[widest])
    shares = (
        (float(good[widest]), float(counts.all_goods[0])),
        (float(bad[widest]), float(counts.all_bads[0])),
    )
    effect, wide = 1.0, STANDARD_ERRORS
    if cluster is not None:
        is_bad, below = ranked.keys % 2 == 1, ranked.keys // 4 <= widest
        share, rows = (np.where(is_bad, b, g) for b, g in zip(shares[1], shares[0], strict=True))
        moves = np.where(is_bad, -1, 1) * (below - share) / rows
        effect, wide = design_effect(moves, cluster), standard_errors(moves, cluster)
    less, more = (wilson(share, rows / effect, wide) for share, rows in sorted(shares))
    centre = observed - EXCESS * (float(resampled.mean()) - observed)
    down = WIDER * np.hypot(more.estimate - more.low, less.high - less.estimate)
    up = WIDER * np.hypot(more.high - more.estimate, less.estimate - less.low)
    return Interval(observed, max(0.0, centre - float(down)), min(1.0, centre + float(up)))
