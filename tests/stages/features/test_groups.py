"""Groups of rows: copies of one application, and agreement that is chance."""

from __future__ import annotations

import numpy as np
import pandas as pd

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
    codes = groups.copies(again)
    assert codes[[500, 501, 502]].tolist() == [4, 9, 4]
    assert codes[:500].tolist() == list(range(500))


def test_rows_of_a_few_coarse_fields_agree_by_chance_and_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.integers(0, 6, (5000, 3)).astype(float), columns=list("abc"))
    assert len(np.unique(groups.copies(rows))) == 5000


def test_a_rare_application_is_a_copy_among_coarse_ones() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.integers(0, 6, (5000, 3)).astype(float), columns=list("abc"))
    rows.loc[[7, 4000]] = [71.0, 72.0, 73.0]
    codes = groups.copies(rows)
    assert codes[7] == codes[4000]
    assert len(np.unique(codes)) == 4999
