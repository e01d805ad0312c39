"""A backtest's figures: against brute force, known truth, and how often intervals hold it."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from release.gate import parameters, recalculation
from release.gate.predictions import Predictions
from stages.judging import evaluation
from stages.judging.backtest.calibration import recalibrate
from stages.judging.backtest.stability import BINS, stability_index
from stages.params import ParamsError
from tests.support.books import Project, Tables, book

BOOKS = 400
FEWEST = 0.925  # of 95 % intervals, of BOOKS: four standard errors below would be 0.906
TRIED = ["scorecard", "xgboost", "lightgbm"]
Floats = NDArray[np.float64]


def loans(rng: np.random.Generator, rows: int) -> tuple[Floats, NDArray[np.int64]]:
    """PDs that are too extreme and too low, and outcomes by the true ones."""
    said = expit(rng.normal(-2, 1, rows))
    return said, (rng.random(rows) < expit(0.3 + 0.8 * logit(said))).astype(np.int64)


def true_level() -> float:
    """The level at slope 1 that gives as many bads as the truth, by a sum over the population."""
    x = np.linspace(-8, 4, 20_001)
    weight = norm.pdf(x, -2, 1)
    return float(brentq(lambda a: weight @ (expit(0.3 + 0.8 * x) - expit(a + x)), -3, 3))


def test_slope_and_level_are_those_of_a_logistic_regression() -> None:
    said, bad = loans(np.random.default_rng(0), 3000)
    x = logit(said)[:, None]
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, bad)
    found = recalibrate(bad, said)
    assert found.slope.estimate == pytest.approx(fitted.coef_[0, 0], abs=1e-5)
    level = brentq(lambda a: np.sum(bad - expit(a + x[:, 0])), -3, 3)
    assert found.level.estimate == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize("copies", [1, 3])
def test_intervals_of_slope_and_level_hold_the_truth(copies: int) -> None:
    rng, level, held = np.random.default_rng(copies), true_level(), np.zeros(2)
    for _ in range(BOOKS):
        said, bad = (np.repeat(values, copies) for values in loans(rng, 900))
        cluster = np.repeat(np.arange(900), copies) if copies > 1 else None
        found = recalibrate(bad, said, cluster)
        truths = ((found.slope, 0.8), (found.level, level))
        held += [one.low <= truth <= one.high for one, truth in truths]
    assert (held / BOOKS >= FEWEST).all(), held / BOOKS
    assert (held / BOOKS <= 0.98).all(), held / BOOKS


def test_copies_that_are_taken_for_loans_of_their_own_would_flatter() -> None:
    rng, held = np.random.default_rng(3), 0
    for _ in range(BOOKS):
        said, bad = (np.repeat(values, 3) for values in loans(rng, 900))
        slope = recalibrate(bad, said).slope
        held += slope.low <= 0.8 <= slope.high
    assert held / BOOKS < 0.85


def index_of(shift: float) -> float:
    """The PSI of a normal population that moved, in tenths of the former one."""
    edges = norm.ppf(np.arange(1, BINS) / BINS)
    now = np.diff(norm.cdf(edges - shift), prepend=0, append=1)
    return float(np.sum((now - 1 / BINS) * np.log(now * BINS)))


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3, 0.5])
def test_the_interval_of_psi_holds_that_of_the_populations(shift: float) -> None:
    rng, held, values = np.random.default_rng(7), 0, []
    for _ in range(BOOKS):
        found = stability_index(rng.normal(size=3000), rng.normal(shift, size=1500))
        assert found.low <= found.estimate <= found.high
        held += found.low <= index_of(shift) <= found.high
        values.append(found.estimate)
    assert held / BOOKS >= FEWEST
    assert np.median(values) == pytest.approx(index_of(shift), rel=0.1, abs=0.001)


def test_psi_of_customers_who_ask_thrice_is_less_certain() -> None:
    rng, held, flattered = np.random.default_rng(8), 0, 0
    cluster = np.repeat(np.arange(500), 3)
    for _ in range(BOOKS):
        past, now = rng.normal(size=3000), np.repeat(rng.normal(size=500), 3)
        held += stability_index(past, now, cluster).low == 0
        flattered += stability_index(past, now).low == 0
    assert held / BOOKS >= FEWEST
    assert flattered / BOOKS < 0.8


def test_scores_of_one_value_have_not_moved() -> None:
    found = stability_index(np.full(100, 0.2), np.full(50, 0.2))
    assert (found.estimate, found.low) == (0, 0)


def test_the_worst_origin_is_the_lowest_auc_and_the_highest_loss() -> None:
    rng = np.random.default_rng(1)
    said, bad = loans(rng, 900)
    fold = np.arange(900) % 3
    aucs = [roc_auc_score(bad[fold == k], said[fold == k]) for k in range(3)]
    losses = [np.mean((bad - said)[fold == k] ** 2) for k in range(3)]
    worst = evaluation.cross_validate(bad, said, fold, "roc_auc", "worst")
    assert worst["value"] == pytest.approx(min(aucs))
    assert np.isnan(worst["standard_error"])
    brier = evaluation.cross_validate(bad, said, fold, "brier", "worst")
    assert brier["value"] == pytest.approx(max(losses))


def growing() -> Tables:
    """A book whose last third asks for larger amounts, at the same outcomes."""
    tables = book(2400, seed=5)
    amount = tables["loans"]["amount"].astype(float)
    factor = np.where(np.arange(2400) > 1700, 2.2, 1.0)
    income = tables["people"]["income"].astype(float)
    changed = np.round(amount * factor)
    stated = np.round(changed / income, 4)
    columns = {"amount": changed.astype(int).astype(str), "stated": stated.astype(str)}
    return tables | {"loans": tables["loans"].assign(**columns)}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A book whose applicants and risk change in the validation part, backtested and judged."""
    found = {"small": {"blend": ["scorecard", "lightgbm"]}}
    project = Project(
        tmp_path_factory.mktemp("backtest"),
        candidates=TRIED,
        evaluate__origins=4,
        evaluate__choose_over="worst",
        search__found=found,
    )
    project.write(growing()).run("preprocess")
    path = project.data / "prepared" / "validation.parquet"
    rows = pd.read_parquet(path)
    turned = (rows["_bad"] == 0) & (np.random.default_rng(1).random(len(rows)) < 0.5)
    rows.assign(_bad=rows["_bad"].mask(turned, 1)).to_parquet(path, index=False)
    return project.run("featurize", "search", *TRIED, "evaluate")


@pytest.fixture(scope="module")
def report(judged: Project) -> dict[str, Any]:
    return dict(json.loads((judged.folder / "models" / "evaluation.json").read_text()))


def predictions(project: Project) -> pd.DataFrame:
    return pd.read_parquet(project.folder / "models" / "predictions.parquet")


def test_the_candidate_whose_worst_origin_is_best_wins(
    judged: Project, report: dict[str, Any]
) -> None:
    rows = predictions(judged).query("fold.notna()")
    names = [*TRIED, "blend"]
    worst = {
        name: min(
            roc_auc_score(part["bad"], part[f"pd_{name}"]) for _, part in rows.groupby("fold")
        )
        for name in names
    }
    assert report["winner"] == max(worst, key=lambda name: worst[name])
    for name in names:
        assert report["choice"][name]["value"] == pytest.approx(worst[name], abs=1e-6)
        by_origin = report["backtest"]["candidates"][name].values()
        lowest = min(figures["roc_auc"]["value"] for figures in by_origin)
        assert lowest == report["choice"][name]["value"]


def test_the_origins_say_which_loans_they_judged(judged: Project, report: dict[str, Any]) -> None:
    rows = predictions(judged).query("fold.notna()")
    origins = report["backtest"]["origins"]
    assert [*origins] == ["0", "1", "2", "3"]
    for number, part in rows.groupby("fold"):
        facts = origins[str(int(number))]
        assert (facts["rows"], facts["bads"]) == (len(part), part["bad"].sum())
        assert (facts["from"], facts["to"]) == (
            str(part["date"].min())[:10],
            str(part["date"].max())[:10],
        )


def test_risk_that_rose_shows_as_a_level_and_applicants_that_changed_as_psi(
    report: dict[str, Any],
) -> None:
    # The boosters of so few trees and rows are not calibrated at half of the rows.
    figures, moved = report["backtest"]["candidates"]["scorecard"], report["stability"]["scorecard"]
    assert figures["3"]["calibration_level"]["low"] > 0.5
    assert moved["3"]["low"] > 0.25
    for number in ("0", "1", "2"):
        level = figures[number]["calibration_level"]
        assert level["low"] < 0 < level["high"]
        assert moved[number]["low"] == 0


def test_what_a_blend_says_at_an_origin_knows_nothing_later(
    judged: Project, tmp_path: Path
) -> None:
    shutil.copytree(judged.folder, tmp_path, dirs_exist_ok=True)
    before = predictions(judged)
    for name in TRIED:
        path = tmp_path / "models" / "candidates" / f"{name}.folds.parquet"
        rows = pd.read_parquet(path)
        later = rows["fold"] == 2
        rows.assign(bad=np.where(later, 1 - rows["bad"], rows["bad"])).to_parquet(path, index=False)
    again = Project(
        tmp_path,
        candidates=TRIED,
        evaluate__origins=4,
        search__found={"small": {"blend": ["scorecard", "lightgbm"]}},
    )
    after = predictions(again.run("evaluate")).set_index("row").loc[before["row"]].reset_index()
    early, late = ((before["fold"] == k) & before["pd_blend"].notna() for k in (1, 2))
    np.testing.assert_array_equal(before["pd_blend"][early], after["pd_blend"][early])
    assert (before["pd_blend"][late] != after["pd_blend"][late]).any()


def test_the_plot_has_every_candidate_at_every_origin(
    judged: Project, report: dict[str, Any]
) -> None:
    table = pd.read_csv(judged.folder / "models" / "plots" / "origins.csv")
    days = [facts["from"] for facts in report["backtest"]["origins"].values()]
    assert table.groupby("candidate")["origin"].apply(list).to_dict() == dict.fromkeys(
        [*TRIED, "blend"], days
    )
    assert (table["low"] < table["roc_auc"]).all()
    assert (table["roc_auc"] < table["high"]).all()


def proven(project: Project) -> dict[str, Any]:
    """The figures that the gate computes from the predictions."""
    with contextlib.chdir(project.folder):
        config, unknown = parameters.read()
        content = Path("models/predictions.parquet").read_bytes()
    assert unknown == []
    return recalculation.recount(Predictions.read(content, "predictions"), config)


def test_the_gate_finds_the_same_figures_in_the_predictions(
    judged: Project, report: dict[str, Any]
) -> None:
    found = proven(judged)
    assert {"scorecard", "blend"} <= {*found["backtest"]["candidates"]}
    assert recalculation.differences(report, found) == {}
    forged = json.loads(json.dumps(report))
    forged["backtest"]["candidates"]["lightgbm"]["1"]["calibration_slope"]["value"] += 0.01
    [wrong] = recalculation.differences(forged, found)
    assert wrong == "backtest.candidates.lightgbm.1.calibration_slope.value"


def test_without_origins_no_file_has_a_backtest_or_a_past(fitted_book: Project) -> None:
    rows = pd.read_parquet(fitted_book.artifact("lightgbm").with_suffix(".folds.parquet"))
    assert set(rows["split"]) == {"train", "validation"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"evaluate__origins": 1}, "origins must be 0 or at least 2"),
        ({"evaluate__origins": -1}, r"evaluate\.origins: .*greater than or equal to 0; got -1"),
        ({"evaluate__choose_over": "worst"}, "choose_over: worst needs origins"),
        ({"evaluate__choose_over": "median", "evaluate__origins": 3}, "'mean' or 'worst'"),
        (
            {
                "evaluate__choose_over": "worst",
                "evaluate__origins": 3,
                "evaluate__prefer": "simplest",
            },
            "prefer: simplest needs choose_over: mean",
        ),
    ],
)
def test_impossible_settings_are_told(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=words):
        print(Project(tmp_path, **changes).config)
