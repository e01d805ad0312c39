"""The data of the plots: what each table says of rows whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.features.matrix import Floats
from stages.judging import evaluation, plots
from stages.judging.evaluation import Judged
from stages.models.artifact import Model
from stages.models.scorers import Additive, Linear
from tests.stages.judging.test_monotone import FEATURES, model_of


def linear_model(slopes: list[float]) -> Model:
    """A model whose contributions are slope * (x - 1)."""
    zeros, wide = np.zeros(FEATURES), np.full(FEATURES, 1e9)
    linear = Linear(np.arange(FEATURES), np.array(slopes), zeros, -wide, wide, zeros)
    return model_of(Additive(-3.0, linear, [], np.array(slopes)))


def features(rows: int) -> Floats:
    """Rows whose every feature is 0, and 2 in each second one: one away from their mean."""
    return np.repeat(np.arange(rows)[:, None] % 2 * 2.0, FEATURES, axis=1)


def test_importance_is_the_mean_size_of_a_contribution_whatever_its_sign() -> None:
    slopes = [0.5, -2.0, 0.0, 1.0, 0.25, -0.125, 3.0, -0.75]
    model = linear_model(slopes)
    ranked = plots.rank_features(model, features(40))
    names = model.features.names
    expected = sorted(zip(names, map(abs, slopes), strict=True), key=lambda pair: -pair[1])
    assert ranked["feature"] == [name for name, _ in expected]
    assert ranked["importance"] == pytest.approx([size for _, size in expected])


def test_importance_of_many_rows_is_that_of_rows_from_the_first_to_the_last() -> None:
    rows = 3 * plots.IMPORTANCE_ROWS
    model, x = linear_model([1.0] + [0.0] * (FEATURES - 1)), np.ones((rows, FEATURES))
    x[[0, -1], 0] = 1 + plots.IMPORTANCE_ROWS / 2  # only the two ends are away from the mean
    ranked = plots.rank_features(model, x)
    assert ranked["importance"][0] == pytest.approx(1.0)


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, pd.DataFrame]:
    """The plots of four rows, the second of which has the PD of the cut-off."""
    bad, pds = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    rows = Judged(bad, pds, np.zeros(4, dtype=np.int64))
    figures = dict.fromkeys(("roc_auc", "pr_auc", "ks", "brier", "ece"), 0.123456789)
    by = {"one": rows, "two": rows}
    compared = {"one": figures, "two": figures | {"ece": 0.5}}
    x = features(4)
    plots.write_all(
        tmp_path, linear_model([1.0] * FEATURES), x, rows, by, compared, {}, {"origin": ["0"]}, 0.2
    )
    return {path.stem: pd.read_csv(path) for path in tmp_path.iterdir()}


def test_a_pd_of_the_cut_off_is_predicted_bad(tables: dict[str, pd.DataFrame]) -> None:
    assert tables["confusion"].to_numpy().tolist() == [
        ["good", "good"],
        ["bad", "bad"],
        ["good", "bad"],
        ["bad", "bad"],
    ]


def test_a_book_without_dates_is_one_vintage(tables: dict[str, pd.DataFrame]) -> None:
    assert tables["vintages"].to_dict("list") == {
        "vintage": ["all"],
        "bad_rate": [0.5],
        "mean_pd": [0.25],
    }


def test_candidates_stand_with_their_own_figures(tables: dict[str, pd.DataFrame]) -> None:
    assert tables["candidates"]["candidate"].tolist() == ["one", "two"]
    assert tables["candidates"]["ece"].tolist() == [0.123457, 0.5]
    assert tables["candidates"]["ks"].tolist() == [0.123457, 0.123457]


def test_the_curves_of_all_candidates_stand_below_one_another(
    tables: dict[str, pd.DataFrame],
) -> None:
    each = tables["roc"]
    assert set(tables["roc_candidates"]["candidate"]) == {"one", "two"}
    for _, curve in tables["roc_candidates"].groupby("candidate"):
        pd.testing.assert_frame_equal(curve.drop(columns="candidate").reset_index(drop=True), each)


def test_cells_have_six_digits_and_texts_are_as_they_are(tmp_path: Path) -> None:
    plots.write(tmp_path, "t", {"a": np.array([1 / 3, 2e6]), "b": ["x", "y"], "c": [1, 2]})
    assert (tmp_path / "t.csv").read_text() == "a,b,c\n0.333333,x,1\n2e+06,y,2\n"


def test_quarters_are_named_by_their_months() -> None:
    days = np.array(["2024-03-31", "2024-04-01", "2023-12-31"], dtype="datetime64[D]")
    assert evaluation.name_vintages(days).tolist() == ["2024-Q1", "2024-Q2", "2023-Q4"]
