"""Origins of a backtest: what is said at each is what the pipeline would have said on that day."""

from __future__ import annotations

import contextlib
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stages.contract import reading as contracts
from stages.features.matrix import Features
from stages.models.fitting import origins
from stages.models.fitting.origins import Origin
from stages.models.fitting.training_rows import TrainingRows
from stages.params import ParamsError
from tests.support.books import CONTRACT, Project, Tables, book

TRIED = ("scorecard", "lightgbm")
NUMBER = 4
WINDOW = "entity: person\noutcome: {months: 2, observed_until: 2024-01-01}\n"


def returning_customers() -> Tables:
    """A book whose customers have up to two loans."""
    tables = book(2000, seed=5)
    people = tables["people"].assign(person=tables["people"]["person"].astype(int) % 1600)
    person = people["person"].astype(str)
    tables["loans"]["person"] = person
    return tables | {"people": people.assign(person=person).drop_duplicates("person")}


@pytest.fixture(scope="module")
def backtested(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A book of loans that take time to go bad, with two candidates backtested."""
    folder = tmp_path_factory.mktemp("backtested")
    text = WINDOW + CONTRACT
    project = Project(folder, text, candidates=[*TRIED], evaluate__origins=NUMBER)
    return project.write(returning_customers()).run("preprocess", "featurize", "search", *TRIED)


@pytest.fixture(scope="module")
def rows(backtested: Project) -> TrainingRows:
    return read(backtested)


@pytest.fixture(scope="module")
def days(rows: TrainingRows) -> list[Origin]:
    return origins.cut(rows, NUMBER, 3, 7)


def read(project: Project) -> TrainingRows:
    with contextlib.chdir(project.folder):
        contract = contracts.load("small")
        features = Features(contract, project.config.mode)
        return TrainingRows.read("train", contract, features, project.config)


def said(project: Project, candidate: str) -> pd.DataFrame:
    return pd.read_parquet(project.artifact(candidate).with_suffix(".folds.parquet"))


def test_an_origin_learns_from_known_outcomes_of_customers_that_it_does_not_judge(
    rows: TrainingRows, days: list[Origin]
) -> None:
    assert rows.day is not None
    assert rows.outcome_known is not None
    assert len(days) == NUMBER - 1
    assert len(np.unique(rows.group)) < len(rows.group)
    for day in days:
        assert rows.outcome_known[day.past].max() <= rows.day[day.judged].min()
        assert not set(rows.group[day.past]) & set(rows.group[day.judged])
    for one, other in pairwise(days):
        assert rows.day[one.judged].max() < rows.day[other.judged].min()
    assert rows.day[days[-1].judged].max() == rows.day.max()


@pytest.mark.parametrize("candidate", TRIED)
@pytest.mark.parametrize("number", range(NUMBER - 1))
def test_what_an_origin_says_is_what_the_pipeline_says_of_a_book_that_ends_there(
    candidate: str, number: int, backtested: Project, days: list[Origin], tmp_path: Path
) -> None:
    shutil.copytree(backtested.folder, tmp_path, dirs_exist_ok=True)
    ended = Project(tmp_path, WINDOW + CONTRACT, candidates=[*TRIED])
    train = pq.read_table(ended.data / "prepared" / "train.parquet")
    for split, part in (("train", days[number].past), ("validation", days[number].judged)):
        pq.write_table(train.take(part), ended.data / "prepared" / f"{split}.parquet")
    there = said(ended.run("featurize", candidate), candidate).query("split == 'validation'")
    here = said(backtested, candidate).query(f"split == 'train' and fold == {number}")
    for column in ("_row", "bad", "margin", "pd"):
        np.testing.assert_array_equal(here[column], there[column])


@pytest.mark.parametrize("candidate", TRIED)
def test_a_backtest_leaves_the_candidate_as_it_is_and_judges_it_last(
    candidate: str, backtested: Project, tmp_path: Path
) -> None:
    shutil.copytree(backtested.folder, tmp_path, dirs_exist_ok=True)
    plain = Project(tmp_path, WINDOW + CONTRACT, candidates=[*TRIED]).run(candidate)
    assert plain.artifact(candidate).read_bytes() == backtested.artifact(candidate).read_bytes()
    ours, theirs = (said(p, candidate).query("split == 'validation'") for p in (backtested, plain))
    assert ours["fold"].dropna().unique().tolist() == [NUMBER - 1]
    np.testing.assert_array_equal(ours["pd"], theirs["pd"])


def test_the_past_of_each_origin_is_kept_as_its_calibration_saw_it(
    backtested: Project, rows: TrainingRows, days: list[Origin]
) -> None:
    past = said(backtested, "lightgbm").query("split == 'past'")
    for number, day in enumerate(days):
        known = past[past["fold"] == number]
        assert set(known["_row"]) == {row for _, b in day.folds for row in rows.row[b]}
        assert known["pd"].between(0, 1).all()
    assert past["fold"].max() == NUMBER - 1


def test_origins_without_dates_are_refused(tmp_path: Path) -> None:
    project = Project(tmp_path, CONTRACT.replace("date: granted\n", ""), evaluate__origins=3)
    project.write(book()).run("preprocess", "featurize", "search")
    with pytest.raises(ParamsError, match=r"evaluate\.origins: needs loans with a date"):
        project.run("logistic")


@pytest.mark.parametrize(
    ("number", "months", "words"),
    [
        (2000, 2, r"2000 origins need more than \d+ days to train on"),
        (300, 2, "300 origins are too many: .*: use fewer"),
        (3, 24, "span too little time to learn from outcomes alone that were known: set 0"),
    ],
)
def test_more_origins_than_the_book_allows_are_refused(
    number: int, months: int, words: str, backtested: Project, tmp_path: Path
) -> None:
    shutil.copytree(backtested.folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "data" / "small" / "contract.yaml"
    path.write_text(path.read_text().replace("months: 2,", f"months: {months},"))
    with pytest.raises(ParamsError, match=rf"params\.yaml: evaluate\.origins: .*{words}"):
        origins.cut(read(Project(tmp_path, path.read_text())), number, 3, 7)


def test_the_last_origin_judges_by_no_customer_whom_the_candidate_has_learned_from(
    backtested: Project, rows: TrainingRows
) -> None:
    judged = pq.read_table(backtested.folder / "models/candidates/scorecard.folds.parquet")
    last = judged.to_pandas().query("split == 'validation'").set_index("_row")
    held = backtested.split("validation").set_index("_row")["_entity"].loc[last.index]
    known = held.isin(backtested.split("train")["_entity"])
    assert 0.05 < known.mean() < 0.5
    assert (last["fold"].isna() == known).all()
    assert last["fold"].dropna().eq(NUMBER - 1).all()
