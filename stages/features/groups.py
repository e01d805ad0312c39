"""Groups of rows that must not stand on both sides of a split or of a fold.

Loans of one customer (`_entity`) share what no field says about the customer; copies of one
application (`_copy`) share everything. A model that was trained on one of them has seen the others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Codes = NDArray[np.int64]
COLUMNS = ("_entity", "_copy")
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


def connected(*codes: Codes) -> Codes:
    """Return one code (n,) for all rows that share a code in any of the given ones (n,)."""
    joined = codes[0]
    for other in codes[1:]:
        left, right = (np.unique(c, return_inverse=True)[1] for c in (joined, other))
        nodes = int(left.max(initial=-1)) + 1
        ends = (left, nodes + right)
        total = nodes + int(right.max(initial=-1)) + 1
        edges = coo_array((np.ones(len(left), dtype=bool), ends), shape=(total, total))
        joined = connected_components(edges, directed=False)[1][left]
    return pd.factorize(joined)[0].astype(np.int64)


def of(table: pa.Table) -> Codes:
    """Return the groups (n,) of prepared rows: one for each customer and the copies of their loans.

    Folds that keep them together are honest.
    """
    present = [c for c in COLUMNS if c in table.column_names]
    return connected(*(table.column(c).to_numpy().astype(np.int64) for c in present))
