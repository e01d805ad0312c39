"""Groups of rows that must not stand on both sides of a random split or of a fold.

Loans of one customer (`_entity`) share what no field says about the customer; copies of one
application (`_copy`) share everything. A model that was trained on one of them has seen the others.
Copies of one application are of one customer, so where there is an entity it is the group.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.int64]
BY_CHANCE = 0.01  # other rows that may agree by chance before agreement stops telling a copy


def copies(rows: pd.DataFrame) -> Codes:
    """Return one code (n,) for all rows that agree in every column, in the order of appearance.

    Rows of few coarse fields agree by chance. Agreement means a copy only where, by the shares of
    its values, fewer than BY_CHANCE other rows would be expected to agree; else each row is alone.
    """
    n = len(rows)
    codes = pd.factorize(pd.util.hash_pandas_object(rows, index=False))[0].astype(np.int64)
    size = np.bincount(codes, minlength=1)
    if n and size.max() > 1:
        expected = np.full(n, float(n))
        for column in rows:
            values = pd.factorize(rows[column], use_na_sentinel=False)[0]
            expected *= np.bincount(values)[values] / n
        alone = (size[codes] > 1) & (expected >= BY_CHANCE)
        codes[alone] = len(size) + np.arange(alone.sum())
    return pd.factorize(codes)[0].astype(np.int64)
