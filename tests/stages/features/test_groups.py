"""Groups of rows: copies of one application, and agreement that is chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stages.features import groups


def fine(rows: int = 500) -> pd.DataFrame:
    """Rows that nothing but copying makes equal."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "amount": rng.integers(1000, 99_999, rows).astype(float),
            "income": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(9999, 99_999, rows)),
            "purpose": rng.choice(np.array(["car", None, "home"], dtype=object), rows),
        }
    )


def test_rows_that_agree_in_every_field_are_copies() -> None:
    rows = fine()
    again = pd.concat([rows, rows.iloc[[4, 9]], rows.iloc[[4]]], ignore_index=True)
    codes = groups.copies(again, np.zeros(503, dtype=np.int64))
    assert codes[[500, 501, 502]].tolist() == [4, 9, 4]
    assert codes[:500].tolist() == list(range(500))


def test_rows_of_a_few_coarse_fields_agree_by_chance_and_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.integers(0, 6, (5000, 3)).astype(float), columns=list("abc"))
    assert len(np.unique(groups.copies(rows, np.arange(5000) % 2))) == 5000


def test_a_rare_application_is_a_copy_among_coarse_ones() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.integers(0, 6, (5000, 3)).astype(float), columns=list("abc"))
    rows.loc[[7, 4000]] = [71.0, 72.0, 73.0]
    codes = groups.copies(rows, np.arange(5000) % 2)
    assert codes[7] == codes[4000]
    assert len(np.unique(codes)) == 4999


@pytest.mark.parametrize(("second", "copied"), [(2, True), (3, True), (4, False), (5, False)])
def test_a_pair_is_a_copy_where_less_than_a_hundredth_of_a_row_would_agree_by_chance(
    second: int, copied: bool
) -> None:
    """Of 1,000 rows 3 have the first value and some the second: 0.006 to 0.015 of a row agree."""
    rows = pd.DataFrame({"a": np.arange(1000), "b": np.arange(1000)})
    rows.loc[[5, 6, 7], "a"] = -1
    rows.loc[[5, 6, *range(8, 6 + second)], "b"] = -1
    codes = groups.copies(rows, np.zeros(1000, dtype=np.int64))
    assert (codes[5] == codes[6]) == copied
    assert len(np.unique(codes)) == 1000 - copied


def determined(rows: int = 4000) -> tuple[pd.DataFrame, np.ndarray]:
    """Six fields that one product of thirty determines, and the bad rate of each product."""
    product = np.random.default_rng(2).integers(0, 30, rows)
    fields = {f"f{i}": (product * (7 + 2 * i)) % 31 + i for i in range(6)}
    return pd.DataFrame(fields), 0.05 + 0.01 * product


def test_loans_whose_fields_determine_one_another_are_no_copies() -> None:
    """By the shares of the values alone, not one pair of these loans would agree by chance."""
    rows, rate = determined()
    bad = (np.random.default_rng(3).random(len(rows)) < rate).astype(np.int64)
    assert groups.copies(rows, bad).tolist() == list(range(len(rows)))


def test_rows_whose_outcomes_agree_too_are_copies_however_many_there_are() -> None:
    rows, _ = determined()
    bad = (rows["f0"] % 5 == 0).to_numpy(np.int64)
    assert len(np.unique(groups.copies(rows, bad))) == 30


@pytest.mark.parametrize(
    ("pairs", "different", "repeat"), [(30, 30, True), (200, 49, True), (200, 51, False)]
)
def test_outcomes_repeat_where_less_than_half_of_chance_differ(
    pairs: int, different: int, repeat: bool
) -> None:
    """Half of the loans are bad: of 200 pairs 100 would differ by chance, of 30 too few to tell."""
    bad = np.repeat(np.arange(pairs) % 2, 2)
    bad[: 2 * different : 2] = 1 - bad[: 2 * different : 2]
    assert groups.outcomes_repeat(np.repeat(np.arange(pairs), 2), bad) == repeat


def test_rows_are_of_one_group_by_either_code_and_by_way_of_others() -> None:
    one = np.array([0, 0, 1, 2, 3, 4, 9])
    other = np.array([5, 6, 6, 7, 7, 1, 0])
    assert groups.connect(one, other).tolist() == [0, 0, 0, 1, 1, 2, 3]
    alone = np.arange(7)
    assert groups.connect(one, alone).tolist() == [0, 0, 1, 2, 3, 4, 5]
    assert groups.connect(alone, alone).tolist() == alone.tolist()
