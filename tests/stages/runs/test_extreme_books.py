"""Books at the edge of what numbers can hold: every stage ends well and writes valid JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.features.matrix import LARGEST
from stages.models import artifact
from tests.support.books import CANDIDATES, CONTRACT, Project, Tables, book

SEPARABLE = CONTRACT.replace("known_at: outcome}\n  closed", "risk: increasing}\n  closed")
UNBOUNDED = CONTRACT.replace("constraints: {minimum: 0, maximum: 1000000}", "constraints: {}")

UNDATED = CONTRACT.replace("date: granted\n", "")


def refuse(word: str) -> None:
    """Refuse NaN and Infinity, which are no JSON."""
    raise AssertionError(word)


def check_json(project: Project) -> None:
    """Check that every JSON file of the stages is valid."""
    for path in project.folder.rglob("*.json*"):
        for line in (
            path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        ):
            json.loads(line, parse_constant=refuse)


def whole_book(folder: Path, tables: Tables, text: str = CONTRACT, **changes: object) -> Project:
    """Run every stage on a book."""
    project = Project(folder, text, **changes).write(tables)
    return project.run("preprocess", "featurize", *CANDIDATES, "evaluate")


@pytest.mark.parametrize("calibration", ["none", "sigmoid", "isotonic"])
def test_a_field_that_separates_the_outcomes_leaves_pds_inside_0_and_1(
    calibration: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {f"train__{n}__calibration": calibration for n in CANDIDATES}
    # The defaults suit larger books: their boosters hardly learn from 420 rows.
    changes |= {"train__lightgbm__min_leaf": 5, "train__lightgbm__l2": 1.0}
    project = whole_book(tmp_path, book(), SEPARABLE, **changes)
    check_json(project)
    for name in CANDIDATES:
        pd_ = artifact.load(project.artifact(name)).predict(project.columns("test"))
        score = project.config.policy.score(pd_)
        assert ((pd_ > 0) & (pd_ < 1)).all()
        assert np.isfinite(score).all()
        assert pd_.std() > 0.1, name


def test_one_enormous_number_is_trained_on_and_served(tmp_path: Path) -> None:
    tables = book()
    people = tables["people"]
    people.loc[[3, 7, 11], "income"] = "1e39"
    project = whole_book(tmp_path, tables | {"people": people}, UNBOUNDED)
    check_json(project)
    application = {"amount": 5000.0, "income": 1e39, "purpose": "car"}
    for name in CANDIDATES:
        model = artifact.load(project.artifact(name))
        assert 0 < model.predict_one(application) < 1
        assert model.predict_one(application | {"income": 1e300}) == model.predict_one(application)


@pytest.mark.parametrize(
    "incomes",
    [
        ("1e39", "1e300", "1.7e308"),
        ("5e-324", "1e-310", "2.3e-308"),
        ("-1e39", "1e39", "-1.7e308"),
    ],
)
def test_training_and_scoring_see_enormous_and_tiny_numbers_alike(
    incomes: tuple[str, ...], tmp_path: Path
) -> None:
    """Every tenth income is at the edge of doubles, beyond 32 bits or below them."""
    tables = book()
    people = tables["people"]
    people.loc[::10, "income"] = np.resize(incomes, len(people.loc[::10]))
    project = whole_book(tmp_path, tables | {"people": people}, UNBOUNDED)
    check_json(project)
    with np.load(project.data / "features" / "train.npz") as rows:
        x = rows["x"]
    assert np.nanmax(np.abs(x)) <= LARGEST
    columns = project.columns("train")
    for name in CANDIDATES:
        model = artifact.load(project.artifact(name))
        np.testing.assert_array_equal(model.features(columns), x)
        pd_ = model.predict(columns)
        assert ((pd_ > 0) & (pd_ < 1)).all(), name
        assert pd_.std() > 0.01, name
        extreme = np.flatnonzero(np.isin(columns["income"], np.array(incomes, dtype=float)))
        assert len(extreme) > 20
        for row in extreme[:5].tolist():
            income = {"income": float(columns["income"][row])}
            record = model.features.application(model.features.encode(columns)[row])
            assert model.predict_one(record | income) == pd_[row], (name, income)


@pytest.mark.parametrize("balance", ["undersample", "smote", "smote_tomek"])
def test_a_few_bads_are_enough_to_resample(balance: str, tmp_path: Path) -> None:
    tables = book(400)
    loans = tables["loans"]
    kept = loans["outcome"].eq("repaid") | (loans.groupby("outcome").cumcount() < 5)
    project = Project(tmp_path, UNDATED, train__logistic__balance=balance)
    project.write(tables | {"loans": pd.DataFrame(loans[kept])})
    project.run("preprocess", "featurize", "logistic")
    assert project.split("train")["_bad"].sum() == 7
    pd_ = artifact.load(project.artifact("logistic")).predict(project.columns("train"))
    assert ((pd_ > 0) & (pd_ < 1)).all()
