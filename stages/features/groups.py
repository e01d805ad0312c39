"""Groups of rows that must not stand on both sides of a random split or of a fold.

Loans of one customer (`_entity`) share what no field says about the customer; copies of one
application (`_copy`) share everything. A model that was trained on one of them has seen the others.
Copies of one application are of one customer, whatever name each has, or none: where there is an
entity, `connect` makes groups of both.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Codes = NDArray[np.int64]
BY_CHANCE = 0.01  # other rows that may agree by chance before agreement stops telling a copy
ENOUGH = 20.0  # different outcomes within codes, were they chance, before their number is a sign
MOST = 0.5  # of them that copies may have


def copies(rows: pd.DataFrame, bad: Codes) -> Codes:
    """Return one code (n,) for all rows that agree in every column, in the order of appearance.

    Rows of few coarse fields agree by chance. Agreement means a copy only where, by the shares of
    its values, fewer than BY_CHANCE other rows would be expected to agree; else each row is alone.
    Fields that determine one another agree more often than their shares say. Such rows are
    different loans, which their outcomes `bad` (n,) tell: those of copies are the same.
    """
    n = len(rows)
    codes = pd.factorize(pd.util.hash_pandas_object(rows, index=False))[0].astype(np.int64)
    size = np.bincount(codes)
    if n and size.max() > 1:
        expected = np.full(n, float(n))
        for column in rows:
            values = pd.factorize(rows[column], use_na_sentinel=False)[0]
            expected *= np.bincount(values)[values] / n
        alone = expected >= BY_CHANCE
        codes[alone] = len(size) + np.arange(alone.sum())
    codes = pd.factorize(codes)[0].astype(np.int64)
    return codes if outcomes_repeat(codes, bad) else np.arange(n, dtype=np.int64)


def connect(one: Codes, other: Codes) -> Codes:
    """Return one code (n,) for all rows that share either code, directly or by way of others."""
    left, right = (np.unique(codes, return_inverse=True)[1] for codes in (one, other))
    right = right + left.max() + 1
    nodes = int(right.max()) + 1
    graph = coo_matrix((np.ones(len(left)), (left, right)), (nodes, nodes))
    labels = connected_components(graph, directed=False)[1]
    return np.asarray(labels[left], dtype=np.int64)


def outcomes_repeat(code: Codes, bad: Codes) -> bool:
    """Return whether outcomes differ less within codes (n,) than those of different loans do.

    So few rows that chance could hide a difference are taken for copies.
    """
    size = np.bincount(code)
    bads = np.bincount(code, weights=bad)[size > 1]
    size = size[size > 1]
    rate = float(np.mean(bad))
    chance = float(size.sum()) * rate * (1 - rate)
    within = float(np.sum(bads * (size - bads) / (size - 1)))
    return chance < ENOUGH or within < MOST * chance
