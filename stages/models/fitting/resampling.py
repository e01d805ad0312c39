"""Balance training rows by resampling, which overstates PD unless the candidate is calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats, Outcomes

if TYPE_CHECKING:
    from imblearn.over_sampling.base import BaseOverSampler

Balance = Literal["none", "undersample", "smote", "smote_tomek"]
Rows = tuple[Floats, Outcomes]
# The usual number of neighbours (Chawla 2002), where there are as many.
NEIGHBOURS = 5
# The level of a missing category.
MISSING = -1.0


# Rows of the smaller class of which every two are compared, where all features are categories:
# three matrices of 8,000 rows and columns take 1.5 GB.
MOST_COMPARED = 8000


class CannotResample(ValueError):
    """The smaller class has too few or too many rows for the sampler; the message says why."""


def resample(
    x: Floats, bad: Outcomes, balance: Balance, categories: list[int], fill: Floats, seed: int
) -> Rows:
    """Return x (m, F) and bad (m,) with as many good as bad rows, from x (n, F) and bad (n,).

    `undersample` drops rows of the larger class. `smote` adds rows of the smaller one that lie
    between neighbours (Chawla 2002): a number of a new row is missing where it is missing in the
    row that the new one starts from, and a missing category is a level like any other. `fill` (F,)
    stands for missing numbers only while neighbours are searched. `smote_tomek` then drops the
    pairs of a good and a bad row that are each other's nearest neighbours.

    Raises CannotResample where the smaller class has fewer than two rows to lie between, or more
    than MOST_COMPARED and no number.
    """
    if balance == "none":
        return x, bad
    from imblearn import under_sampling  # noqa: PLC0415  (slow to import)

    if balance == "undersample":
        places = np.arange(len(x))[:, None]
        drawn, _ = under_sampling.RandomUnderSampler(random_state=seed).fit_resample(places, bad)
        return x[drawn[:, 0]], bad[drawn[:, 0]]
    rows, outcomes = add_neighbours(x, bad, balance, categories, fill, seed)
    if balance == "smote_tomek":
        links = under_sampling.TomekLinks(sampling_strategy="all")
        links.fit_resample(fill_missing(rows, categories, fill), outcomes)
        rows, outcomes = rows[links.sample_indices_], outcomes[links.sample_indices_]
    return rows, outcomes


def add_neighbours(
    x: Floats, bad: Outcomes, balance: Balance, categories: list[int], fill: Floats, seed: int
) -> Rows:
    """Return the rows and, after them, new rows of the smaller class: x (m, F) and bad (m,)."""
    bads = int(np.sum(bad))
    fewer = min(bads, len(bad) - bads)
    if fewer == len(bad) - fewer:
        return x, bad
    which = "bad" if bads == fewer else "good"
    if fewer < 2:
        raise CannotResample(
            f"balance: {balance} needs at least 2 {which} loans to lie between; got {fewer} among "
            f"{len(bad):,} training rows: use balance: none"
        )
    if fewer > MOST_COMPARED and len(categories) == x.shape[1]:
        raise CannotResample(
            f"balance: {balance} compares every two {which} loans where all features are "
            f"categories, and memory allows {MOST_COMPARED:,} of them; got {fewer:,}: use "
            "balance: undersample or none"
        )
    sampler = sampler_for(categories, x.shape[1], min(NEIGHBOURS, fewer - 1), seed)
    rows, outcomes = sampler.fit_resample(fill_missing(x, categories, fill), bad)
    made = rows[len(x) :]
    numbers = np.setdiff1d(np.arange(x.shape[1]), categories)
    if len(numbers):
        smaller = x[bad == (bads == fewer)]
        start, end = (smaller[np.ix_(places, numbers)] for places in sampler.between)
        made[:, numbers] = np.where(np.isnan(start + end), start, made[:, numbers])
    made[:, categories] = np.where(made[:, categories] == MISSING, np.nan, made[:, categories])
    return np.concatenate((x, made)), outcomes


def fill_missing(x: Floats, categories: list[int], fill: Floats) -> Floats:
    """Return the rows x (n, F) with `fill` for missing numbers and MISSING for categories."""
    level = np.where(np.isin(np.arange(x.shape[1]), categories), MISSING, fill)
    return np.where(np.isnan(x), level, x)


def sampler_for(categories: list[int], width: int, neighbours: int, seed: int) -> BaseOverSampler:
    """Return the variant of SMOTE for this mix of numbers and categories.

    After resampling, its attribute `between` holds the places of the two rows of the smaller class
    that each new row lies between. It has no such attribute where all features are categories.
    """
    from imblearn import over_sampling  # noqa: PLC0415  (slow to import)

    settings: dict[str, Any] = {"k_neighbors": neighbours, "random_state": seed}
    if len(categories) == width:
        return over_sampling.SMOTEN(**settings)
    if categories:
        return record_parents(over_sampling.SMOTENC)(categories, **settings)
    return record_parents(over_sampling.SMOTE)(**settings)


def record_parents(smote: type[BaseOverSampler]) -> type[BaseOverSampler]:
    """Return a subclass of the sampler that records between which rows it puts each new row."""

    class Recording(smote):  # type: ignore[misc]
        def _generate_samples(
            self,
            x: Floats,
            near: Floats,
            nearest: NDArray[np.int64],
            rows: NDArray[np.int64],
            columns: NDArray[np.int64],
            *rest: object,
            **more: object,
        ) -> object:
            self.between = rows, nearest[rows, columns]
            return super()._generate_samples(x, near, nearest, rows, columns, *rest, **more)

    return Recording
