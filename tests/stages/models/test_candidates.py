"""Candidates: fitted on training rows alone, to the contract's directions, by any threads."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from stages.contract.schema import Contract
from stages.features.matrix import Features, Floats
from stages.features.statistics import Fitted
from stages.models import registry
from stages.models.artifact import Model
from stages.models.calibration import Calibrator, ForestShare, Isotonic, Sigmoid
from stages.models.candidates import logistic
from stages.models.fitting.folds import cut
from stages.models.fitting.job import Job
from stages.models.scorers import Additive, Scorer, Selected
from stages.models.task import Task
from tests.support.books import CANDIDATES, Project, contract

FEATURES = Features(contract(), "application")
Rows = tuple[Floats, Any]
Jobs = Callable[..., Job]


@pytest.fixture(scope="module")
def rows(fitted_book: Project) -> Rows:
    """The training features and outcomes of the small book."""
    with np.load(fitted_book.data / "features" / "train.npz") as train:
        return train["x"], train["bad"]


@pytest.fixture
def jobs(fitted_book: Project, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Makes a candidate's job, some of its parameters changed."""
    monkeypatch.chdir(fitted_book.folder)
    config = fitted_book.config

    def job(name: str, threads: int = 1, **changes: Any) -> Job:
        section = config.candidate(name).model_copy(update=changes)
        return replace(Job.of(name, section, FEATURES, config), threads=threads)

    return job


def calibrated(job: Job, x: Floats, bad: Any, number: int = 2) -> Calibrator:
    """The calibration of a job on folds that are drawn at random."""
    folds = cut(bad, np.arange(len(bad)), None, number, job.seed)
    return job.calibrate(x, bad, job.judge_folds(x, bad, folds))


def column(name: str) -> int:
    return FEATURES.names.index(name)


def test_every_candidate_of_the_parameters_can_be_fitted() -> None:
    assert set(registry.names()) >= {*CANDIDATES}
    assert {registry.load(name).name for name in CANDIDATES} == set(CANDIDATES)


@pytest.mark.parametrize("rules", [{"min_iv": 0.05}, {"max_correlation": 0.05}])
def test_a_fold_keeps_the_features_that_its_own_rows_select(
    rules: dict[str, float], jobs: Jobs, rows: Rows
) -> None:
    x, bad = rows[0], np.random.default_rng(0).permutation(rows[1])
    job = jobs("logistic", **rules)
    assert job.for_fold is not None
    folds = cut(bad, np.arange(len(bad)), None, 2, job.seed)
    margin = job.judge_folds(x, bad, folds)
    for inside, outside in folds:
        alone = job.for_fold(x[inside], bad[inside])
        expected = alone.fit(x[inside], bad[inside]).margin(x[outside])
        assert np.array_equal(margin[outside], expected)
    assert any(job.for_fold(x[inside], bad[inside]).kept != job.kept for inside, _ in folds)


def test_a_fold_where_no_feature_reaches_min_iv_keeps_the_strongest(jobs: Jobs, rows: Rows) -> None:
    job = jobs("logistic", min_iv=0.0001)
    assert job.for_fold is not None
    x = np.where(np.arange(rows[0].shape[1]) == 0, rows[0], 1.0)
    bad = np.arange(len(x)) % 2
    assert 0 in job.for_fold(x, bad).kept


def test_without_rules_every_fold_keeps_all_features(jobs: Jobs) -> None:
    rules = {"min_iv": 0.0, "max_vif": None, "max_correlation": None}
    assert jobs("scorecard", **rules).for_fold is None


def test_the_threads_of_blas_change_no_bit_of_a_calibration(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30_000, len(FEATURES.names)))
    bad = (rng.random(30_000) < 1 / (1 + np.exp(-x[:, 0]))).astype(np.int64)
    seen = SimpleNamespace(margin=lambda rows: rows[:, 0])
    monkeypatch.setattr(Job, "fit", lambda *_: seen)
    fitted = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            fitted.append(calibrated(jobs("xgboost", calibration="sigmoid"), x, bad, 2))
    assert fitted[0] == fitted[1]


@pytest.mark.parametrize("name", CANDIDATES)
def test_threads_change_no_byte_of_an_artifact(name: str, jobs: Jobs, rows: Rows) -> None:
    one, two = (
        pickle.dumps((job.fit(*rows), calibrated(job, *rows)))
        for job in (jobs(name, threads, calibration="sigmoid") for threads in (1, 2))
    )
    assert one == two


@pytest.mark.parametrize("name", ["random_forest", "xgboost", "lightgbm"])
def test_a_seed_gives_one_forest_and_another_seed_another(
    name: str, jobs: Jobs, rows: Rows
) -> None:
    def margin(seed: int) -> Floats:
        return replace(jobs(name), seed=seed).fit(*rows).margin(rows[0])

    np.testing.assert_array_equal(margin(1), margin(1))
    assert (margin(1) != margin(2)).any()


@pytest.mark.parametrize("rule", ["undersample", "smote", "smote_tomek"])
def test_resampling_gives_the_same_bytes_with_any_number_of_threads(
    rule: str, jobs: Jobs, rows: Rows
) -> None:
    one, two = (pickle.dumps(jobs("logistic", n, balance=rule).fit(*rows)) for n in (1, 2))
    assert one == two


def risen(scorer: Scorer, x: Floats, name: str) -> Floats:
    """How the margin of each row moves where one feature grows over its whole range."""
    j = column(name)
    grid = np.unique(x[:, j])
    moved = [scorer.margin(np.where(np.arange(x.shape[1]) == j, value, x[:100])) for value in grid]
    return np.diff(moved, axis=0)


@pytest.mark.parametrize("feature", ["amount", "loan_to_income"])
@pytest.mark.parametrize("name", ["scorecard", "random_forest", "xgboost", "lightgbm"])
def test_risk_rises_where_the_contract_says_so(
    name: str, feature: str, jobs: Jobs, rows: Rows
) -> None:
    steps = risen(jobs(name, monotone=True).fit(*rows), rows[0], feature)
    assert (steps >= -1e-6).all()
    assert (steps > 0).any()


def against(loaded: Contract) -> Features:
    """The features of the small book with its directions turned round."""
    turned = {
        name: field.model_copy(update={"risk": "decreasing"})
        for name, field in loaded.fields.items()
        if field.risk
    }
    return Features(loaded.model_copy(update={"fields": loaded.fields | turned}), "application")


@pytest.mark.parametrize("name", ["scorecard", "xgboost", "lightgbm"])
def test_a_direction_holds_even_against_the_data(name: str, jobs: Jobs, rows: Rows) -> None:
    job = replace(jobs(name, monotone=True, min_iv=0.0), directions=against(contract()).directions)
    assert (risen(job.fit(*rows), rows[0], "amount") <= 1e-6).all()


@pytest.mark.parametrize("name", ["random_forest", "xgboost", "lightgbm"])
def test_a_direction_is_free_where_it_is_switched_off(name: str, jobs: Jobs, rows: Rows) -> None:
    # Leaves that are small for this small book, whatever params.yaml says.
    small = {"min_leaf": 4, "l2": 1.0} if name == "lightgbm" else {}
    free = jobs(name, monotone=False, **small).fit(*rows)
    assert (risen(free, rows[0], "amount") < 0).any()


def test_a_logistic_regression_is_the_usual_one(jobs: Jobs, rows: Rows) -> None:
    x, bad = rows
    job = jobs("logistic")
    numbers = [j for j in range(x.shape[1]) if j not in job.categories]
    known = np.where(np.isnan(x), job.facts["fill"], x).clip(job.facts["low"], job.facts["high"])
    scaled = StandardScaler().fit_transform(known[:, numbers])
    hot = OneHotEncoder(sparse_output=False).fit_transform(x[:, job.categories])
    flag = np.isnan(x[:, [column("months")]])
    usual = LogisticRegression(C=1.0, max_iter=2000).fit(np.hstack([scaled, flag, hot]), bad)
    expected = usual.decision_function(np.hstack([scaled, flag, hot]))
    np.testing.assert_allclose(job.fit(x, bad).margin(x), expected, atol=1e-3)


def test_a_forest_gives_the_mean_bad_rate_of_its_leaves(jobs: Jobs, rows: Rows) -> None:
    stumps = jobs("random_forest", max_depth=1, trees=50, features_per_split=1.0)
    pd = calibrated(stumps, *rows)(stumps.fit(*rows).margin(rows[0]))
    assert pd.mean() == pytest.approx(rows[1].mean(), abs=0.01)
    assert np.unique(pd).size < rows[0].shape[0]


def test_a_forest_of_resampled_rows_knows_their_bad_rate(jobs: Jobs, rows: Rows) -> None:
    calibrator = calibrated(jobs("random_forest", balance="undersample"), *rows)
    assert calibrator == ForestShare(0.5)


@pytest.mark.parametrize("name", ["logistic", "scorecard"])
def test_a_category_that_training_never_saw_is_neutral(name: str, jobs: Jobs, rows: Rows) -> None:
    x, bad = rows
    j = column("branch")
    for unseen in (1, 2):
        seen = x[:, j] != unseen
        scorer = jobs(name, min_iv=0.0).fit(x[seen], bad[seen])
        assert isinstance(scorer, Additive)
        strange = np.where(np.arange(x.shape[1]) == j, unseen, x[:1])
        assert scorer.terms(strange)[0, j] == 0


def test_a_candidate_reads_nothing_but_the_features_that_it_keeps(
    fitted_book: Project, jobs: Jobs, rows: Rows
) -> None:
    fitted = Fitted.from_json((fitted_book.data / "features" / "fitted.json").read_text())
    least = sorted(fitted.iv)[-2]
    job = jobs("lightgbm", min_iv=least)
    scorer = job.fit(*rows)
    assert len(job.kept) == 2
    others = [j for j in range(rows[0].shape[1]) if j not in job.kept]
    blind = rows[0].copy()
    blind[:, others] = np.nan
    np.testing.assert_array_equal(scorer.margin(blind), scorer.margin(rows[0]))
    assert (scorer.contributions(rows[0][:50])[:, others] == 0).all()


@pytest.mark.parametrize(("kind", "expected"), [("sigmoid", Sigmoid), ("isotonic", Isotonic)])
def test_the_calibration_asked_for_is_fitted(
    kind: str, expected: type, jobs: Jobs, rows: Rows
) -> None:
    assert isinstance(calibrated(jobs("lightgbm", calibration=kind), *rows), expected)


def test_without_calibration_margins_are_log_odds(jobs: Jobs, rows: Rows) -> None:
    assert calibrated(jobs("lightgbm", calibration="none"), *rows) == Sigmoid(1.0, 0.0)


@pytest.mark.parametrize("balance", ["none", "undersample", "smote"])
def test_calibration_sees_every_row_once_unresampled_and_by_a_model_that_did_not(
    balance: str, jobs: Jobs, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, bad = rows[0].copy(), rows[1]
    x[:, column("income")] = np.arange(len(x))  # the row's number, which resampling keeps or mixes
    job = jobs("logistic", balance=balance, calibration="sigmoid")
    fitted: list[Any] = []
    held: list[Any] = []
    seen: list[Any] = []

    class Spy:
        def margin(self, rows: Floats) -> Floats:
            held.append(rows[:, column("income")])
            return rows[:, column("income")]

    def fit(self: Job, x: Floats, bad: Any) -> Spy:
        fitted.append(x[:, column("income")])
        return Spy()

    def calibrator(margin: Floats, outcome: Any) -> Sigmoid:
        seen.extend((margin, outcome))
        return Sigmoid()

    monkeypatch.setattr(Job, "fit", fit)
    monkeypatch.setattr(Sigmoid, "fit", calibrator)
    calibrated(job, x, bad, 3)
    assert len(held) == 3
    np.testing.assert_array_equal(np.sort(np.concatenate(held)), np.arange(len(x)))
    for inside, outside in zip(fitted, held, strict=True):
        assert not set(inside) & set(outside)
        assert len(inside) + len(outside) == len(x)
    np.testing.assert_array_equal(seen[0], np.arange(len(x)))
    np.testing.assert_array_equal(seen[1], bad)


def test_a_resampled_candidate_is_honest_after_calibration(jobs: Jobs, rows: Rows) -> None:
    x, bad = rows
    raw = jobs("lightgbm", balance="undersample", calibration="none")
    held = jobs("lightgbm", balance="undersample", calibration="sigmoid")
    margin = raw.fit(x, bad).margin(x)
    assert Sigmoid()(margin).mean() > bad.mean() + 0.1
    assert calibrated(held, x, bad, 3)(margin).mean() < bad.mean() + 0.05


def test_fitting_changes_no_row_that_it_was_given(jobs: Jobs, rows: Rows) -> None:
    x, bad = rows[0].copy(), rows[1].copy()
    for name in CANDIDATES:
        calibrated(jobs(name, calibration="sigmoid", balance="smote"), x, bad, 2)
    np.testing.assert_array_equal(x, rows[0])
    np.testing.assert_array_equal(bad, rows[1])


def test_an_artifact_scores_by_the_candidate_it_is_named_for(models: dict[str, Model]) -> None:
    def kind(fitted: Model) -> str:
        scorer = fitted.scorer
        return type(scorer.scorer if isinstance(scorer, Selected) else scorer).__name__

    kinds = {name: kind(fitted) for name, fitted in models.items()}
    assert kinds == dict(
        zip(CANDIDATES, ["Additive", "Additive", "XGBoost", "XGBoost", "LightGBM"], strict=True)
    )


def test_a_category_of_many_levels_costs_memory_by_the_row(jobs: Jobs) -> None:
    n, levels = 20_000, 3000
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=n), rng.integers(0, levels, n)]).astype(float)
    bad = (rng.random(n) < 1 / (1 + np.exp(2 - x[:, 0]))).astype(np.int64)
    job = jobs("logistic")
    facts = {name: values[:2] * 0 for name, values in job.facts.items()}
    facts |= {"sd": np.ones(2), "low": np.full(2, -9.0), "high": np.full(2, 9.0)}
    task = Task(job.parameters, 7, 1, [1], np.zeros(2, dtype=np.int64), facts)
    tracemalloc.start()
    logistic.fit(task, x, bad)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.1 * n * levels * 8


def test_a_missing_number_has_a_flag_where_training_has_one(jobs: Jobs) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8000, 2))
    gone = rng.random(8000) < 0.3
    bad = (rng.random(8000) < np.where(gone, 0.4, 0.1)).astype(np.int64)
    x[gone, 0] = np.nan
    facts = {"fill": 0.0, "mean": 0.0, "sd": 1.0, "low": -9.0, "high": 9.0}
    arrays = {name: np.full(2, value) for name, value in facts.items()}
    task = Task(jobs("logistic").parameters, 7, 1, [], np.zeros(2, dtype=np.int64), arrays)
    fitted = logistic.fit(task, x, bad)
    pd = 1 / (1 + np.exp(-fitted.margin(x)))
    assert pd[gone].mean() == pytest.approx(bad[gone].mean(), abs=0.01)
    assert pd[~gone].mean() == pytest.approx(bad[~gone].mean(), abs=0.01)
    assert fitted.linear.flag[1] == 0


def test_a_sparse_design_gives_the_coefficients_of_a_dense_one() -> None:
    rng = np.random.default_rng(0)
    level = rng.integers(0, 5, 3000)
    hot = logistic.one_hot(level)
    np.testing.assert_array_equal(hot.toarray(), np.eye(5)[level])
    bad = rng.integers(0, 2, 3000)
    sparse, dense = (LogisticRegression(tol=1e-8).fit(d, bad) for d in (hot, hot.toarray()))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-5)


def test_a_number_whose_reason_is_a_feature_needs_no_flag(jobs: Jobs) -> None:
    rng = np.random.default_rng(0)
    reason = rng.integers(0, 3, 3000).astype(float)
    x = np.column_stack([np.where(reason > 0, np.nan, rng.normal(size=3000)), reason])
    facts = {"fill": 0.0, "mean": 0.0, "sd": 1.0, "low": -9.0, "high": 9.0}
    arrays = {name: np.full(2, value) for name, value in facts.items()}
    free = np.zeros(2, dtype=np.int64)
    task = Task(jobs("logistic").parameters, 7, 1, [1], free, arrays, explained_by={0: 1})
    assert not logistic.fit(task, x, rng.integers(0, 2, 3000)).linear.flag.any()
