"""Split rows into training, validation and test: by time, or at random where loans have no date."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.contract.schema import ContractError

SPLITS = ("train", "validation", "test")
EMBARGOED = -1
LEFT_OUT = "embargoed"  # the file of these rows, where there are any
Days = NDArray[np.datetime64]


def by_time(
    date: Days, validation_share: float, test_share: float, outcome_known: Days | None = None
) -> NDArray[np.int64]:
    """Assign the newest rows to test and those before them to validation; whole days stay together.

    `outcome_known` (n,) is the day on which each outcome was known, where loans take time to go
    bad. A row whose outcome was not known yet on the first day of a later part is in no part:
    training ends where validation could have been decided with it, and validation likewise before
    test.

    Returns the rows' places in SPLITS (n,), or EMBARGOED. Raises ContractError where the days do
    not allow three parts.
    """
    days, n = date.astype("datetime64[D]"), len(date)

    def ready(first: np.datetime64) -> NDArray[np.bool_]:
        return np.asarray(days < first if outcome_known is None else outcome_known <= first)

    test_from = _first_day(days, int(n * (1 - test_share)), 2)
    before_test = ready(test_from)
    embargoed = int(np.sum(days < test_from) - before_test.sum())
    wanted = int(n * (1 - test_share - validation_share)) - embargoed
    validation_from = _first_day(days[before_test], wanted, 1)
    train = ready(validation_from)
    if not train.any():
        raise ContractError(_too_short(days, validation_from, test_from))
    split = np.full(n, EMBARGOED, dtype=np.int64)
    split[train] = 0
    split[before_test & (days >= validation_from)] = 1
    split[days >= test_from] = 2
    return split


def _first_day(days: Days, row: int, earlier: int) -> np.datetime64:
    """Return the day of the given row in order of time, with at least `earlier` days before it."""
    distinct, counts = np.unique(days, return_counts=True)
    if len(distinct) <= earlier:
        raise ContractError(_too_few(distinct, counts, earlier))
    before = np.cumsum(counts) - counts
    place = int(np.searchsorted(before, row, side="right")) - 1
    return np.datetime64(distinct[np.clip(place, earlier, len(distinct) - 1)])


def _too_few(distinct: Days, counts: NDArray[np.int64], earlier: int) -> str:
    """Say which days there are, and what else can be done."""
    if earlier < len(SPLITS) - 1:
        return (
            "the outcomes that were known before the test part began are of "
            f"{len(distinct)} distinct days, and training and validation need one each: shorten "
            "`outcome.months`, lower preprocess.test_share, or bring older loans"
        )
    shares = [f"{d} ({c / counts.sum():.0%})" for d, c in zip(distinct, counts, strict=True)]
    return (
        f"a split by time needs loans of {len(SPLITS)} distinct days or more, one for each of "
        f"{', '.join(SPLITS)}; got {len(distinct)}: {', '.join(shares)}. Bring loans of other "
        "days, or leave `date` out of the contract for a random split"
    )


def _too_short(days: Days, validation_from: np.datetime64, test_from: np.datetime64) -> str:
    """Say why an embargo leaves nothing to train on."""
    return (
        f"no outcome was known before validation would begin on {validation_from} (and test on "
        f"{test_from}); the first loan is of {days.min()}: shorten `outcome.months`, lower "
        "preprocess.test_share or validation_share, or bring older loans"
    )


def draw_stratified(
    bad: NDArray[np.int64],
    group: NDArray[np.int64],
    validation_share: float,
    test_share: float,
    seed: int,
) -> NDArray[np.int64]:
    """Draw the splits at random with the same bad rate; the rows of a group stay together.

    Groups with a bad loan and groups without are drawn apart, each by its share of rows.

    Returns the rows' places in SPLITS (n,).
    """
    rng = np.random.default_rng(seed)
    _, place = np.unique(group, return_inverse=True)
    size = np.bincount(place)
    some_bad = np.bincount(place, weights=bad) > 0
    split = np.zeros(len(size), dtype=np.int64)
    for stratum in (~some_bad, some_bad):
        members = rng.permutation(np.flatnonzero(stratum))
        rows = np.cumsum(size[members])
        total = rows[-1] if len(rows) else 0
        test, validation = round(total * test_share), round(total * validation_share)
        start = rows - size[members]
        split[members[start < test + validation]] = 1
        split[members[start < test]] = 2
    return split[place]
