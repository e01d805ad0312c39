"""The winner that is fitted again to ship: which rows it saw, and whose the figures are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import expit
from scipy.stats import rankdata

from release.gate.reproduction import rescoring
from release.gate.reproduction.rescoring import ArtifactScores
from stages.judging import blending, predictions
from stages.judging.refit import winner
from stages.judging.refit.agreement import Agreement
from stages.judging.refit.anchor import anchor
from stages.models import artifact, model_file
from stages.models.calibration import ForestShare, Isotonic, Sigmoid
from stages.models.scorers import WeightedSum
from stages.params import ParamsError, Refit
from tests.support.books import CONTRACT, Project, book

SPLITS = ("train", "validation", "test")
CANDIDATES = ["scorecard", "lightgbm"]
MARGIN = np.random.default_rng(0).normal(-2, 1, 2000)
ALL, RECENT = {"refit__rows": "all"}, {"refit__rows": "recent"}


def copied(fitted_book: Project, folder: Path, **changes: Any) -> Project:
    """A copy of the small book with two fitted candidates, which evaluation may refit."""
    shutil.copytree(fitted_book.folder, folder, dirs_exist_ok=True)
    return Project(folder, candidates=CANDIDATES, **changes)


@pytest.fixture(scope="module")
def plain(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copied(fitted_book, tmp_path_factory.mktemp("plain")).run("evaluate")


@pytest.fixture(scope="module")
def refitted(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copied(fitted_book, tmp_path_factory.mktemp("refitted"), **ALL).run("evaluate")


def report(project: Project) -> dict[str, Any]:
    return dict(json.loads((project.folder / "models" / "evaluation.json").read_text()))


def models(project: Project) -> dict[str, bytes]:
    """The files of models/ that evaluation wrote, by name."""
    paths = (project.folder / "models").glob("*.*")
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize("rate", [0.02, 0.2, 0.6])
@pytest.mark.parametrize(
    "calibrator",
    [Sigmoid(1.2, -0.1), Isotonic(np.array([-4.0, -2, 0]), np.array([0.02, 0.1, 0.6]))],
)
def test_an_anchor_moves_the_mean_to_the_rate_and_no_rank(
    calibrator: Sigmoid | Isotonic, rate: float
) -> None:
    anchored = anchor(calibrator, MARGIN, rate)(MARGIN)
    assert anchored.mean() == pytest.approx(rate, abs=1e-9)
    order = np.argsort(MARGIN)
    assert (np.diff(anchored[order]) >= 0).all()


def test_an_anchor_of_a_sigmoid_is_one_number_of_log_odds() -> None:
    moved = anchor(Sigmoid(0.9, 0.3), MARGIN, 0.3)
    assert isinstance(moved, Sigmoid)
    assert moved.slope == 0.9


def test_the_bad_rates_of_leaves_cannot_be_anchored() -> None:
    with pytest.raises(ParamsError, match="set its `calibration: sigmoid`"):
        anchor(ForestShare(0.2), MARGIN, 0.3)


def test_agreement_is_the_correlation_of_ranks_and_both_means() -> None:
    judged, other = expit(MARGIN), expit(MARGIN + np.random.default_rng(1).normal(size=2000) / 3)
    found = Agreement.of(judged, other)
    ranks = np.corrcoef(rankdata(judged), rankdata(other))[0, 1]
    assert found.rank_correlation == pytest.approx(ranks)
    assert (found.mean_pd_judged, found.mean_pd_refitted) == (judged.mean(), other.mean())


@pytest.mark.parametrize(
    ("ranks", "mean", "anchored", "words"),
    [
        (0.95, 0.125, False, []),
        (0.9499, 0.1, False, ["the rank correlation of their PDs is 0.9499"]),
        (float("nan"), 0.1, False, ["the rank correlation of their PDs is nan"]),
        (0.99, 0.126, False, ["their mean PDs are 0.1000 and 0.1260"]),
        (0.99, 0.3, True, []),
    ],
)
def test_models_agree_within_the_tolerances(
    ranks: float, mean: float, anchored: bool, words: list[str]
) -> None:
    faults = Agreement(ranks, 0.1, mean).faults(Refit(rows="all"), anchored=anchored)
    assert [fault.partition(", and")[0] for fault in faults] == words


def test_without_a_refit_what_ships_is_what_was_judged(plain: Project) -> None:
    files = models(plain)
    assert files["judged.json"] == files["winner.json"]
    assert "shipped" not in report(plain)


def test_figures_and_predictions_stay_those_of_the_judged_model(
    plain: Project, refitted: Project
) -> None:
    before, after = models(plain), models(refitted)
    same = ("winner.joblib", "judged.json", "predictions.parquet", "metrics.json")
    for name in same:
        assert before[name] == after[name], name
    assert report(refitted) == report(plain) | {"shipped": report(refitted)["shipped"]}
    changed = ("winner.json", "golden.jsonl", "reference.json")
    assert [name for name in changed if before[name] == after[name]] == []


def test_what_ships_is_what_the_pipeline_fits_on_all_rows(
    refitted: Project, tmp_path: Path
) -> None:
    name = report(refitted)["winner"]
    shutil.copytree(refitted.folder, tmp_path, dirs_exist_ok=True)
    whole = Project(tmp_path, candidates=CANDIDATES)
    folder = whole.data / "prepared"
    tables = [pq.read_table(folder / f"{split}.parquet") for split in SPLITS]
    pq.write_table(pa.concat_tables(tables, promote_options="default"), folder / "train.parquet")
    fitted = artifact.load(whole.run("featurize", name).artifact(name))
    shipped = model_file.read(refitted.folder / "models" / "winner.json")
    columns = refitted.columns("test")
    np.testing.assert_array_equal(shipped.predict(columns), fitted.predict(columns))


def test_what_ships_says_which_rows_it_saw(refitted: Project) -> None:
    rows = pd.concat([refitted.split(split) for split in SPLITS])
    shipped = model_file.read(refitted.folder / "models" / "winner.json").trained_on
    assert shipped["rows"] == len(rows) == report(refitted)["shipped"]["rows"]
    assert shipped["bad_rate"] == pytest.approx(rows["_bad"].mean())
    assert (shipped["from"], shipped["to"]) == (
        str(rows["_date"].min())[:10],
        str(rows["_date"].max())[:10],
    )
    assert (shipped["refit"], shipped["anchor"]) == ("all", None)
    judged = model_file.read(refitted.folder / "models" / "judged.json").trained_on
    stated = report(refitted)["trained_on"]
    assert judged == stated | {"bad_rate": pytest.approx(stated["bad_rate"], abs=1e-6)}
    assert judged["rows"] == len(refitted.split("train"))


def test_golden_records_and_the_drift_reference_are_of_what_ships(refitted: Project) -> None:
    shipped = model_file.read(refitted.folder / "models" / "winner.json")
    for line in (refitted.folder / "models" / "golden.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert shipped.predict_one(record["application"]) == record["default_probability"]
    reference = json.loads((refitted.folder / "models" / "reference.json").read_text())
    assert reference["rows"] == shipped.trained_on["rows"]


def test_the_agreement_is_stated_as_it_is(refitted: Project) -> None:
    judged, shipped = (
        model_file.read(refitted.folder / "models" / f"{name}.json").predict(
            refitted.columns("test")
        )
        for name in ("judged", "winner")
    )
    stated = report(refitted)["shipped"]["agreement"]
    expected = Agreement.of(judged, shipped)._asdict()
    assert stated == pytest.approx(expected, abs=1e-6)
    assert stated["rank_correlation"] < 1


def test_recent_rows_are_the_latest_and_as_many_as_before(
    fitted_book: Project, tmp_path: Path
) -> None:
    project = copied(fitted_book, tmp_path, **RECENT).run("evaluate")
    shipped = report(project)["shipped"]
    days = pd.concat([project.split(split)["_date"] for split in SPLITS]).sort_values()
    wanted = len(project.split("train"))
    first = days.iloc[-wanted]
    assert shipped["rows"] == (days >= first).sum()
    assert wanted <= shipped["rows"] < wanted + 10
    assert (shipped["from"], shipped["to"]) == (str(first)[:10], str(days.max())[:10])


def test_rows_of_the_embargo_take_part_in_a_refit(fitted_book: Project, tmp_path: Path) -> None:
    window = "outcome: {months: 2, observed_until: 2024-01-01}\n"
    project = Project(tmp_path, window + CONTRACT, candidates=["scorecard"], **ALL)
    project.write(book(2000, seed=5)).run(
        "preprocess", "featurize", "search", "scorecard", "evaluate"
    )
    rows = {split: project.split(split)["_row"] for split in (*SPLITS, "embargoed")}
    quality = json.loads((project.data / "quality.json").read_text())
    assert len(rows["embargoed"]) == quality["embargoed"] > 100
    assert sorted(pd.concat(rows.values())) == [*range(2000)]
    assert report(project)["shipped"]["rows"] == 2000
    assert report(project)["trained_on"]["rows"] == len(rows["train"])
    assert not (fitted_book.data / "prepared" / "embargoed.parquet").exists()


def doubled_risk(project: Project) -> None:
    """Turn a third of the good loans of the last two parts bad, and make their features anew."""
    for split in SPLITS[1:]:
        path = project.data / "prepared" / f"{split}.parquet"
        rows = project.split(split)
        turned = (rows["_bad"] == 0) & (np.random.default_rng(2).random(len(rows)) < 0.25)
        rows.assign(_bad=rows["_bad"].mask(turned, 1)).to_parquet(path, index=False)
    project.run("featurize")


@pytest.mark.parametrize("asked", ["recent", 0.05])
def test_an_anchor_brings_the_last_year_to_its_rate(
    asked: str | float, fitted_book: Project, tmp_path: Path
) -> None:
    loose = {"refit__max_mean_change": 0.5, "refit__min_rank_correlation": 0.9}
    project = copied(fitted_book, tmp_path, refit__anchor=asked, **ALL, **loose)
    doubled_risk(project)
    shipped = report(project.run("evaluate"))["shipped"]
    model = model_file.read(tmp_path / "models" / "winner.json")
    rows = pd.concat(
        project.split(split).assign(pd=model.predict(project.columns(split))) for split in SPLITS
    )
    last = rows[rows["_date"] > rows["_date"].max() - pd.Timedelta(days=365)]
    rate = last["_bad"].mean() if asked == "recent" else asked
    assert shipped["anchor"] == pytest.approx(rate, abs=1e-6)
    assert last["pd"].mean() == pytest.approx(rate, abs=1e-9)
    assert shipped["mean_pd"] == pytest.approx(
        rows["pd"].iloc[-len(project.split("test")) :].mean(), abs=1e-6
    )


def test_a_refit_that_learned_otherwise_ends_the_run_and_leaves_the_files(
    plain: Project, tmp_path: Path
) -> None:
    shutil.copytree(plain.folder, tmp_path, dirs_exist_ok=True)
    project = Project(tmp_path, candidates=CANDIDATES, **RECENT)
    for split in SPLITS:
        path = project.data / "features" / f"{split}.npz"
        with np.load(path) as rows:
            x, bad = rows["x"], rows["bad"]
        np.savez(path, x=x, bad=1 - bad)
    before = models(project)
    words = r"refit: the \w+ that was fitted again is not the one that was judged: the rank corr"
    with pytest.raises(ParamsError, match=words):
        project.run("evaluate")
    assert models(project) == before


def test_recent_rows_need_dates(tmp_path: Path) -> None:
    undated = CONTRACT.replace("date: granted\n", "")
    project = Project(tmp_path, undated, candidates=["logistic"], **RECENT).write(book(1200))
    project.run("preprocess", "featurize", "search", "logistic")
    with pytest.raises(ParamsError, match=r"refit\.rows: recent needs loans with a date"):
        project.run("evaluate")
    project.set(candidates=["logistic"], refit__rows="all", refit__anchor="recent")
    with pytest.raises(ParamsError, match=r"refit\.anchor: recent needs loans with a date"):
        project.run("evaluate")
    project.set(candidates=["logistic"], refit__rows="all", refit__anchor=0.1).run("evaluate")
    assert report(project)["shipped"]["anchor"] == 0.1


def test_a_blend_is_fitted_again_with_weights_of_its_own(
    fitted_book: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = copied(fitted_book, tmp_path, **ALL).config
    monkeypatch.chdir(tmp_path)
    folder = Path("models") / "candidates"
    members = {name: artifact.load(folder / f"{name}.joblib") for name in CANDIDATES}
    held = predictions.read_out_of_fold(folder, CANDIDATES)
    blend = blending.blend_models(members, held, CANDIDATES).model
    again = winner.fit_again(blend, config)
    scorer = again.model.scorer
    assert isinstance(scorer, WeightedSum)
    assert isinstance(blend.scorer, WeightedSum)
    assert scorer.names == blend.scorer.names == CANDIDATES
    assert again.model.trained_on["rows"] == len(again.x) > len(fitted_book.split("train"))
    for name, part in zip(scorer.names, scorer.scorers, strict=True):
        alone = winner.fit_again(members[name], config).model.scorer
        np.testing.assert_array_equal(part.margin(again.x), alone.margin(again.x))
    assert (scorer.weights != blend.scorer.weights).all()
    assert again.pd[again.held].mean() == pytest.approx(again.bad[again.held].mean(), abs=0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"refit__rows": "some"}, r"refit\.rows: .*'none', 'recent' or 'all'"),
        ({"refit__anchor": "recent"}, "anchor needs rows: recent or all"),
        ({"refit__rows": "all", "refit__anchor": 1.5}, r"refit\.anchor: .*less than 1"),
        (
            {"refit__rows": "all", "refit__min_rank_correlation": 0.5},
            "greater than or equal to 0.9",
        ),
        ({"refit__rows": "all", "refit__max_mean_change": 0.9}, "less than or equal to 0.5"),
    ],
)
def test_impossible_settings_are_told(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=words):
        print(Project(tmp_path, **changes).config)


def scored(shipped: np.ndarray) -> ArtifactScores:
    """What artifacts say of rows, one of which is judged and the other ships."""
    judged, row = expit(MARGIN), np.arange(len(MARGIN))
    splits = dict.fromkeys(rescoring.SPLITS, (row, judged))
    return ArtifactScores(splits, [], dict.fromkeys(rescoring.SPLITS, shipped))


@pytest.mark.parametrize(
    ("shipped", "config", "fails"),
    [
        (expit(MARGIN), Refit(), False),
        (np.nextafter(expit(MARGIN), 1), Refit(), True),
        (expit(MARGIN + 0.01), Refit(rows="all"), False),
        (expit(-MARGIN), Refit(rows="all"), True),
        (expit(MARGIN - 2), Refit(rows="all"), True),
        (expit(MARGIN - 2), Refit(rows="all", anchor=0.02), False),
    ],
)
def test_the_gate_compares_what_ships_with_what_was_judged(
    shipped: np.ndarray, config: Refit, fails: bool
) -> None:
    assert bool(rescoring.disagreements(scored(shipped), config)) == fails


def test_the_gate_scores_predictions_by_the_judged_model_and_golden_records_by_what_ships(
    refitted: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(refitted.folder)
    scores = rescoring.score()
    rows = pd.read_parquet("models/predictions.parquet").query("split == 'test'")
    np.testing.assert_array_equal(scores.splits["test"][1], rows["pd"])
    golden = Path("models/golden.jsonl").read_text().splitlines()
    assert scores.golden == [json.loads(line)["default_probability"] for line in golden]
    assert rescoring.disagreements(scores, Refit(rows="all")) == []
    assert rescoring.disagreements(scores, Refit()) != []
    [note] = rescoring.describe_refit(scores, Refit(rows="all"))
    assert note.status == "note"
    assert "on test rows too" in note.words
