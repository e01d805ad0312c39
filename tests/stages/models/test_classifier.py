"""What `stages.models.load` offers: a classifier of raw applications, for hands and notebooks."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import get_scorer, roc_auc_score

import stages.models
from stages.contract.schema import ContractError
from stages.models import model_file
from stages.models.artifact import Model
from stages.models.classifier import Classifier
from tests.support.books import CANDIDATES, ROOT, Project


@pytest.fixture
def frame(fitted_book: Project) -> pd.DataFrame:
    """The raw rows of the test part, as a person has them: NaN where a value is missing."""
    columns = fitted_book.columns("test")
    return pd.DataFrame(columns).where(lambda table: table.notna(), np.nan)


@pytest.fixture
def bad(fitted_book: Project) -> Any:
    return fitted_book.split("test")["_bad"].to_numpy()


@pytest.fixture
def classifier(fitted: Model) -> Classifier:
    return Classifier(fitted)


@pytest.fixture
def lightgbm(models: dict[str, Model]) -> Classifier:
    return Classifier(models["lightgbm"])


@pytest.mark.parametrize("name", CANDIDATES)
def test_an_artifact_is_loaded_as_a_classifier(name: str, fitted_book: Project) -> None:
    loaded = stages.models.load(fitted_book.artifact(name))
    assert (loaded.model.candidate, loaded.classes_.tolist()) == (name, [0, 1])
    assert repr(loaded) == f"Classifier({name!r}, dataset='small', mode='application')"


@pytest.mark.parametrize("name", CANDIDATES)
def test_the_file_that_ships_is_loaded_as_the_same_classifier(
    name: str, models: dict[str, Model], frame: pd.DataFrame, tmp_path: Path
) -> None:
    model_file.write(models[name], tmp_path / "winner.json")
    shipped, in_memory = stages.models.load(tmp_path / "winner.json"), Classifier(models[name])
    assert repr(shipped) == repr(in_memory)
    np.testing.assert_array_equal(shipped.predict_proba(frame), in_memory.predict_proba(frame))
    few = frame.iloc[:20]
    for field, values in in_memory.explain(few).contributions.items():
        theirs = shipped.explain(few).contributions[field]
        np.testing.assert_allclose(theirs, values, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["winner.joblib", "winner.json"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x04.", pickle.dumps({"a": 1})])
def test_a_file_that_is_no_artifact_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TypeError, match=re.escape(str(tmp_path / name))):
        stages.models.load(tmp_path / name)


def test_a_frame_with_nan_scores_as_the_pipeline_scores_its_rows(
    classifier: Classifier, frame: pd.DataFrame, fitted_book: Project
) -> None:
    probabilities = classifier.predict_proba(frame)
    pipeline = classifier.model.predict(fitted_book.columns("test"))
    assert probabilities.shape == (len(frame), 2)
    np.testing.assert_array_equal(probabilities[:, 1], pipeline)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_columns_score_as_the_frame_that_they_make(
    lightgbm: Classifier, frame: pd.DataFrame
) -> None:
    columns = {name: frame[name].tolist() for name in frame}
    expected = lightgbm.predict_proba(frame)
    np.testing.assert_array_equal(lightgbm.predict_proba(columns), expected)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_category_is_missing_however_it_is_written(
    missing: Any, lightgbm: Classifier, frame: pd.DataFrame
) -> None:
    written = frame.head(3).astype(object)
    written["branch"] = pd.Series([missing] * 3, dtype=object, index=written.index)
    without = lightgbm.predict_proba(frame.head(3).drop(columns="branch"), absent_as_missing=True)
    np.testing.assert_array_equal(lightgbm.predict_proba(written), without)


def test_an_integer_category_keeps_its_levels_in_a_column_with_gaps(
    lightgbm: Classifier, frame: pd.DataFrame
) -> None:
    whole = frame.assign(branch=frame["branch"].astype("Int64"))
    np.testing.assert_array_equal(lightgbm.predict_proba(whole), lightgbm.predict_proba(frame))


def test_a_column_that_is_absent_is_an_error_that_names_it(
    lightgbm: Classifier, frame: pd.DataFrame
) -> None:
    with pytest.raises(ContractError, match=r"lack amount, income: .*=True allows .*income"):
        lightgbm.predict_proba(frame.drop(columns=["amount", "income"]))


def test_a_required_column_must_be_there_whatever_the_caller_says(
    lightgbm: Classifier, frame: pd.DataFrame
) -> None:
    with pytest.raises(ContractError, match=r"the rows lack amount: "):
        lightgbm.predict(frame.drop(columns=["amount", "income"]), absent_as_missing=True)


def test_a_misspelt_column_is_named_with_the_nearest_one(
    lightgbm: Classifier, frame: pd.DataFrame
) -> None:
    with pytest.raises(ValueError, match=r"lack income \(did you mean 'Incme'\?\): "):
        lightgbm.predict_proba(frame.rename(columns={"income": "Incme"}))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("amount", -1.0, r"amount must be at least \S+; got -1 \(row 2\)"),
        ("amount", np.nan, r"amount must have a value; got a missing one \(row 2\)"),
    ],
)
def test_a_value_that_the_contract_forbids_is_an_error_that_names_it(
    name: str, value: float, message: str, lightgbm: Classifier, frame: pd.DataFrame
) -> None:
    frame.loc[frame.index[2], name] = value
    for rows in (frame, {column: frame[column].to_numpy() for column in frame}):
        with pytest.raises(ValueError, match=message):
            lightgbm.predict_proba(rows)


def test_columns_of_different_lengths_are_refused(
    lightgbm: Classifier, frame: pd.DataFrame
) -> None:
    columns = {name: frame[name].tolist() for name in frame} | {"income": [1.0]}
    with pytest.raises(ContractError, match=r"the same number of rows; got .*income 1"):
        lightgbm.predict_proba(columns)


def test_the_class_is_bad_from_the_threshold_on(lightgbm: Classifier, frame: pd.DataFrame) -> None:
    pd_of = lightgbm.predict_proba(frame)[:, 1]
    np.testing.assert_array_equal(lightgbm.predict(frame), pd_of >= 0.5)
    np.testing.assert_array_equal(lightgbm.predict(frame, threshold=0.1), pd_of >= 0.1)


@pytest.mark.parametrize("rows", [1, 64, 200])
def test_contributions_of_fields_add_up_to_the_margin(
    rows: int, classifier: Classifier, frame: pd.DataFrame
) -> None:
    some = frame.head(rows)
    why = classifier.explain(some)
    assert list(why.contributions) == [f.name for f in classifier.model.features.inputs]
    total = why.base_value + sum(why.contributions.values())
    np.testing.assert_allclose(total, why.margin, atol=1e-4)
    calibrated = classifier.model.calibrator(why.margin)
    np.testing.assert_array_equal(calibrated, classifier.predict_proba(some)[:, 1])


def test_scikit_learn_takes_it_for_a_fitted_classifier(
    classifier: Classifier, frame: pd.DataFrame, bad: Any
) -> None:
    assert is_classifier(classifier)
    expected = roc_auc_score(bad, classifier.predict_proba(frame)[:, 1])
    assert get_scorer("roc_auc")(classifier, frame, bad) == expected
    assert get_scorer("neg_brier_score")(classifier, frame, bad) > -0.25
    assert get_scorer("accuracy")(classifier, frame, bad) > 0.5


def test_scikit_learn_draws_its_calibration(
    lightgbm: Classifier, frame: pd.DataFrame, bad: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    display = CalibrationDisplay.from_estimator(lightgbm, frame, bad, n_bins=5)
    assert display.estimator_name == "Classifier"
    assert len(display.prob_true) > 1


def test_it_is_fitted_by_the_pipeline_alone(lightgbm: Classifier, frame: pd.DataFrame) -> None:
    with pytest.raises(NotImplementedError, match="dvc repro"):
        lightgbm.fit(frame, None)


def test_loading_imports_neither_scikit_learn_nor_pandas(fitted_book: Project) -> None:
    script = (
        "import sys, stages.models\n"
        f"stages.models.load({str(fitted_book.artifact('logistic'))!r})\n"
        "print({'sklearn', 'pandas'} & {*sys.modules})"
    )
    run = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_rows_in_another_form_are_an_error_that_says_which_form_is_right(
    classifier: Classifier, frame: pd.DataFrame
) -> None:
    one = frame.iloc[0]
    for rows in (one, one.to_dict(), frame.to_numpy(), frame.to_dict("records")):
        with pytest.raises(TypeError, match="must be a DataFrame or a mapping from field names"):
            classifier.predict_proba(rows)
    assert classifier.predict_proba(frame.iloc[[0]]).shape == (1, 2)
