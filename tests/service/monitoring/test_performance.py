from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml

from service.monitoring import performance
from stages import featurize, params, preprocess, simulate
from stages import train as training
from stages.judging import reference
from stages.metrics import metrics
from stages.models import artifact
from stages.simulation import population
from tests.support import public_books
from tests.support.books import ROOT

PUBLIC = ROOT.parent / "shared" / "data"


def draw(seed: int) -> np.random.Generator:
    """Return a generator of the test's own, so that no test depends on those before it."""
    return np.random.default_rng(seed)


PD = np.clip(draw(3).beta(0.3, 3, 30_000), 1e-4, 0.9999)
BAD = draw(4).random(len(PD)) < PD
EXACT = {"slope": 1.0, "intercept": 0.0, "covariance": [[0.0, 0.0], [0.0, 0.0]]}


def windows(rows: int, count: int) -> list[np.ndarray]:
    rng = draw(rows)
    return [rng.choice(len(PD), rows, replace=False) for _ in range(count)]


def test_the_realised_auc_lies_in_the_interval_of_nine_windows_of_ten() -> None:
    inside = 0
    for window in windows(1000, 60):
        estimate = performance.estimate(PD[window], PD[window] < 0.1, EXACT)["roc_auc"]
        inside += estimate.low <= metrics.roc_auc(BAD[window], PD[window]) <= estimate.high
    assert inside >= 54


def test_windows_of_three_thousand_are_within_two_hundredths() -> None:
    for window in windows(3000, 20):
        estimate = performance.estimate(PD[window], PD[window] < 0.1, EXACT)["roc_auc"].value
        assert estimate == pytest.approx(metrics.roc_auc(BAD[window], PD[window]), abs=0.02)


def test_pds_that_were_miscalibrated_on_validation_are_corrected() -> None:
    odds = 3 * PD / (1 - PD)
    off = odds / (1 + odds)
    calibration = reference.describe_calibration(BAD[:20_000], off[:20_000])
    estimate = performance.estimate(off[20_000:], off[20_000:] < 0.1, calibration)["bad_rate"]
    assert estimate.low <= BAD[20_000:].mean() <= estimate.high


def test_the_auc_of_drawn_outcomes_is_that_of_the_metric() -> None:
    bad = draw(5).random((3, 500)) < PD[:500]
    ranks = performance.rankdata(PD[:500])
    expected = [metrics.roc_auc(outcomes, PD[:500]) for outcomes in bad]
    np.testing.assert_allclose(performance.roc_auc_of_draws(bad, ranks), expected)


def test_an_auc_far_below_what_was_expected_is_an_alarm() -> None:
    rng = draw(6)
    shuffled = rng.permutation(BAD[:5000])
    fall = performance.find_fall(
        np.where(rng.random(5000) < 0.5, shuffled, BAD[:5000]) * 1, PD[:5000], EXACT
    )
    assert fall is not None
    assert fall.loudness == "alarm"


@pytest.mark.parametrize("rows", [100, 1000, 10_000])
def test_an_auc_as_expected_gives_no_finding(rows: int) -> None:
    for window in windows(rows, 20):
        assert performance.find_fall(BAD[window] * 1, PD[window], EXACT) is None


def test_false_alarms_of_the_auc_are_one_in_ten_thousand() -> None:
    rng, false = draw(7), 0
    pd = PD[draw(8).choice(len(PD), 100, replace=False)]
    for bad in rng.random((2000, 100)) < pd:
        false += performance.find_fall(bad * 1, pd, EXACT) is not None
    assert false <= 2  # 0.2 are expected


@pytest.mark.parametrize("outcome", [0, 1])
def test_outcomes_of_one_class_give_no_finding(outcome: int) -> None:
    assert performance.find_fall(np.full(100, outcome), PD[:100], EXACT) is None


def test_without_approvals_there_is_no_approved_bad_rate() -> None:
    estimate = performance.estimate(PD[:100], np.zeros(100, dtype=bool), EXACT)
    assert np.isnan(estimate["approved_bad_rate"].value)


class Book(NamedTuple):
    """What a fitted book says of its test part, and what became of it."""

    calibration: dict[str, Any]
    pd: np.ndarray
    bad: np.ndarray
    cut_off: float

    def expected(self, window: np.ndarray, name: str) -> performance.Estimate:
        pd = self.pd[window]
        return performance.estimate(pd, pd < self.cut_off, self.calibration)[name]

    def slices(self, rows: int, count: int) -> list[np.ndarray]:
        rng = np.random.default_rng(rows)
        return [rng.choice(len(self.pd), rows, replace=False) for _ in range(count)]


def fitted(folder: Path, dataset: str, mode: str, *, public: bool) -> Book:
    """Run the real stages on the raw files of `folder`, with LightGBM the winner."""
    data = folder / "data" / dataset
    shutil.copyfile(ROOT / "data" / dataset / "contract.yaml", data / "contract.yaml")
    config = yaml.safe_load((ROOT / "params.yaml").read_text())
    config |= {"dataset": dataset, "mode": mode, "threads": 1}
    if public:
        public_books.tune(config)
    (folder / "params.yaml").write_text(yaml.safe_dump(config))
    with contextlib.chdir(folder):
        preprocess.main()
        featurize.main()
        training.main("lightgbm")
        winner = artifact.load(Path("models/candidates/lightgbm.joblib"))
        parts = {}
        for part in ("validation", "test"):
            with np.load(data / f"features/{part}.npz") as rows:
                parts[part] = rows["bad"], winner.predict_matrix(rows["x"])
        cut_off = params.load().policy.pd_cut_off
    return Book(reference.describe_calibration(*parts["validation"]), *parts["test"][::-1], cut_off)


@pytest.fixture(
    scope="module",
    params=[
        "simulated",
        "loan_book application",
        "loan_applications application",
        "loan_applications pricing",
    ],
)
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The simulated book, and each public one where it is at hand."""
    folder = tmp_path_factory.mktemp("judged")
    dataset, _, mode = request.param.partition(" ")
    raw = folder / "data" / (dataset if mode else "loan_book") / "raw"
    raw.mkdir(parents=True)
    if not mode:
        settings = params.load(ROOT / "params.yaml").simulate
        drawn = population.draw(settings.rows, settings.seed, settings.separation)
        for name, table in simulate.book(drawn, settings.seed).items():
            table.to_csv(raw / f"{name}.csv", index=False)
        return fitted(folder, "loan_book", "application", public=False)
    if not (PUBLIC / dataset).exists():
        pytest.skip(f"the public book {dataset} is not at hand")
    shutil.copytree(PUBLIC / dataset, raw, dirs_exist_ok=True)
    return fitted(folder, dataset, mode, public=True)


def test_nine_slices_of_ten_of_a_book_have_their_auc_in_the_stated_interval(judged: Book) -> None:
    inside = []
    for window in judged.slices(1000, 100):
        estimate = judged.expected(window, "roc_auc")
        inside.append(
            estimate.low <= metrics.roc_auc(judged.bad[window], judged.pd[window]) <= estimate.high
        )
    assert np.mean(inside) >= 0.9


def test_large_slices_of_a_book_have_the_auc_that_was_estimated(judged: Book) -> None:
    for window in judged.slices(min(3000, len(judged.pd)), 20):
        realised = metrics.roc_auc(judged.bad[window], judged.pd[window])
        estimate = judged.expected(window, "roc_auc")
        # An interval is four standard errors wide: what chance moves where good and bad lie close.
        near = max(0.02, estimate.high - estimate.low)
        assert estimate.value == pytest.approx(realised, abs=near)
