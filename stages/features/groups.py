"""Groups of rows that must not stand on both sides of a random split or of a fold.

Loans of one customer (`_entity`) share what no field says about the customer; copies of one
application (`_copy`) share everything. A model that was trained on one of them has seen the others.
Copies of one application are of one customer, even where names differ or lack: where there is an
entity, `connect` makes groups of both.
"""

from __future__ import annotations

from collections.abc import Callable

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
    return number_copies(hash_rows(rows), bad, lambda places: count_values(rows.iloc[places], rows))


def hash_rows(rows: pd.DataFrame) -> NDArray[np.uint64]:
    """Return a hash (n,) of each row."""
    return np.asarray(pd.util.hash_pandas_object(rows, index=False), dtype=np.uint64)


def count_values(wanted: pd.DataFrame, rows: pd.DataFrame) -> Codes:
    """Return how many of the rows have each value that is wanted: (columns, k)."""
    counts = np.zeros((len(rows.columns), len(wanted)), dtype=np.int64)
    for j, column in enumerate(rows):
        both = pd.concat([wanted[column], rows[column]], ignore_index=True)
        values = pd.factorize(both, use_na_sentinel=False)[0]
        times = np.bincount(values[len(wanted) :], minlength=int(values.max(initial=0)) + 1)
        counts[j] = times[values[: len(wanted)]]
    return counts


def number_copies(
    hashes: NDArray[np.uint64], bad: Codes, count: Callable[[NDArray[np.intp]], Codes]
) -> Codes:
    """Return the codes of `copies` for rows of these hashes (n,).

    `count` returns how many rows of the book have each value of the rows at some places (k,), as
    `count_values` does. It is asked for one row of each code that several rows share.
    """
    n = len(hashes)
    codes, _ = pd.factorize(hashes)
    size = np.bincount(codes)
    shared = np.flatnonzero(size > 1)
    if len(shared):
        first = np.unique(codes, return_index=True)[1]
        expected = np.full(len(shared), float(n))
        for times in count(first[shared]):
            expected *= times / n
        by_chance = np.zeros(len(size), dtype=bool)
        by_chance[shared] = expected >= BY_CHANCE
        alone = by_chance[codes]
        codes[alone] = len(size) + np.arange(alone.sum())
        codes, _ = pd.factorize(codes)
    codes = codes.astype(np.int64)
    return codes if outcomes_repeat(codes, bad) else np.arange(n, dtype=np.int64)


def connect(one: Codes, other: Codes) -> Codes:
    """Return one code (n,) for all rows that share either code, directly or through other rows."""
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
