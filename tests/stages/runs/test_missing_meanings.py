"""Codes that say why a value is missing: every candidate learns each of them, and serves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.metrics import metrics
from stages.models import artifact
from tests.support.books import CANDIDATES, Project

TRUTH = {"": 0.10, "-7": 0.02, "-9": 0.40}
CONTRACT = """
tables: {loans: {path: loans.csv}}
target: {field: bad, bad: 1, good: 0}
fields:
  amount: {type: number}
  months_since_arrears:
    type: number
    missingValues: {-7: no account, -9: no record}
"""


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A book whose risk follows from why the months since arrears are missing, and their number."""
    rng = np.random.default_rng(0)
    n = 12_000
    why = rng.choice(["", "-7", "-9"], n, p=[0.6, 0.25, 0.15])
    months = rng.integers(1, 60, n)
    rate = np.where(why == "", 0.16 - 0.002 * months, np.vectorize(TRUTH.get)(why))
    loans = {
        "amount": rng.integers(1_000, 20_000, n),
        "months_since_arrears": np.where(why == "", months.astype(str), why),
        "bad": (rng.random(n) < rate).astype(int),
    }
    trees = {f"train__{name}__trees": 200 for name in ("random_forest", "xgboost", "lightgbm")}
    project = Project(tmp_path_factory.mktemp("coded"), CONTRACT, **trees)
    project.write({"loans": pd.DataFrame(loans)})
    return project.run("preprocess", "featurize", *CANDIDATES, "evaluate")


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_each_meaning_has_the_pd_of_its_own_loans(candidate: str, coded: Project) -> None:
    model = artifact.load(coded.artifact(candidate))
    pd_ = model.predict(coded.columns("test"))
    rows = coded.split("test")
    why = rows["months_since_arrears__missing"].to_numpy()
    for place, code in enumerate(("", "-7", "-9")):
        assert pd_[why == place].mean() == pytest.approx(TRUTH[code], abs=0.035)
    assert metrics.roc_auc(rows["_bad"].to_numpy(), pd_) > 0.7


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_an_application_with_a_code_is_scored_as_training_saw_it(
    candidate: str, coded: Project
) -> None:
    model = artifact.load(coded.artifact(candidate))
    codes = {1: -7, 2: -9}
    rows = coded.split("test").head(60)
    pd_ = model.predict(coded.columns("test"))[:60]
    for served, (_, row) in zip(pd_, rows.iterrows(), strict=True):
        value = row["months_since_arrears"]
        why = codes.get(row["months_since_arrears__missing"])
        application = {"amount": row["amount"], "months_since_arrears": why if why else value}
        assert model.predict_one(application) == served


def test_the_reference_of_drift_names_the_meanings(coded: Project) -> None:
    text = (Path(coded.folder) / "models" / "reference.json").read_text()
    assert '"no account"' in text
    assert '"no record"' in text
