"""An artifact: raw application in, PD out, the same bits for one and for many."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.contract.schema import ContractError
from stages.models import artifact
from stages.models.artifact import Model
from tests.support.books import ROOT, Project, applications, contract

# What the image that scores does not hold.
ABSENT = ("pandas", "sklearn", "dvc", "pyarrow", "matplotlib", "optbinning", "imblearn", "shap")
SCORE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
from stages.models import artifact
fitted = artifact.load(Path({path!r}))
print(fitted.predict_one({application!r}).hex())
fitted.scorer.contributions(fitted.features({columns!r}))
"""
APPLICATION = {"amount": 9000, "months": 24, "purpose": "other", "insured": "N", "income": 21000}


def take(columns: dict[str, Any], order: Any) -> dict[str, Any]:
    """The columns' rows in another order."""
    return {name: [values[i] for i in order] for name, values in columns.items()}


@pytest.fixture(scope="module")
def columns(fitted_book: Project) -> dict[str, Any]:
    return fitted_book.columns("test")


def test_pds_are_the_same_bits_alone_in_a_batch_and_in_another_order(
    fitted: Model, columns: dict[str, Any]
) -> None:
    pd = fitted.predict(columns)
    order = np.random.default_rng(3).permutation(len(pd))
    np.testing.assert_array_equal(fitted.predict(take(columns, order)), pd[order])
    encoded = fitted.features.encode(columns)
    alone = [fitted.predict_one(fitted.features.application(row)) for row in encoded]
    np.testing.assert_array_equal(alone, pd)


@given(rows=st.lists(applications(contract()), min_size=2, max_size=5))
def test_pds_of_any_applications_are_the_same_alone_and_together(
    models: dict[str, Model], rows: list[dict[str, Any]]
) -> None:
    for fitted in models.values():
        fields = [f.name for f in fitted.features.inputs]
        together = fitted.predict({name: [row.get(name) for row in rows] for name in fields})
        np.testing.assert_array_equal(together, [fitted.predict_one(row) for row in rows])


def test_pds_are_the_same_bits_after_writing_and_reading(
    fitted: Model, columns: dict[str, Any], tmp_path: Path
) -> None:
    artifact.save(fitted, tmp_path / "deep" / "again.joblib")
    again = artifact.load(tmp_path / "deep" / "again.joblib")
    np.testing.assert_array_equal(again.predict(columns), fitted.predict(columns))


def test_writing_what_was_read_gives_the_same_bytes(
    fitted: Model, fitted_book: Project, tmp_path: Path
) -> None:
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301  (our own)
    assert pickle.dumps(again) == pickle.dumps(pickle.loads(pickle.dumps(again)))  # noqa: S301


def test_features_made_before_give_the_pds_of_raw_columns(
    fitted: Model, fitted_book: Project, columns: dict[str, Any]
) -> None:
    with np.load(fitted_book.data / "features" / "test.npz") as rows:
        np.testing.assert_array_equal(fitted.predict_matrix(rows["x"]), fitted.predict(columns))


def test_a_pd_lies_between_zero_and_one_and_rises_with_risk(
    fitted: Model, fitted_book: Project, columns: dict[str, Any]
) -> None:
    pd, bad = fitted.predict(columns), fitted_book.split("test")["_bad"] == 1
    assert ((pd > 0) & (pd < 1)).all()
    assert pd[bad].mean() > pd[~bad].mean() + 0.1


def test_the_mean_pd_is_the_bad_rate_and_not_the_good_rate(
    fitted: Model, fitted_book: Project
) -> None:
    pd = fitted.predict(fitted_book.columns("train"))
    assert pd.mean() == pytest.approx(fitted_book.split("train")["_bad"].mean(), abs=0.02)


def test_a_larger_loan_on_a_smaller_income_is_riskier(fitted: Model) -> None:
    risky = APPLICATION | {"amount": 19000, "income": 11000}
    sound = APPLICATION | {"amount": 1500, "income": 80000}
    assert fitted.predict_one(risky) > fitted.predict_one(sound) + 0.1


def test_protected_and_later_values_change_no_pd(fitted: Model) -> None:
    more = APPLICATION | {"sex": "F", "arrears": 5000, "outcome": "defaulted", "grade": "C"}
    assert fitted.predict_one(more) == fitted.predict_one(APPLICATION)


def test_a_field_that_is_absent_is_missing(fitted: Model) -> None:
    absent = {name: value for name, value in APPLICATION.items() if name != "months"}
    assert fitted.predict_one(absent) == fitted.predict_one(APPLICATION | {"months": None})


def test_an_unknown_category_is_an_error_and_no_pd(fitted: Model) -> None:
    with pytest.raises(ContractError, match=r"purpose must be one of .* got 'boat'"):
        fitted.predict_one(APPLICATION | {"purpose": "boat"})


def test_scoring_needs_neither_pandas_nor_a_training_library(
    fitted: Model, fitted_book: Project
) -> None:
    script = SCORE.format(
        absent=ABSENT,
        path=str(fitted_book.artifact(fitted.candidate)),
        application=APPLICATION,
        columns={name: [value] for name, value in APPLICATION.items()},
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == fitted.predict_one(APPLICATION).hex(), done.stderr


def test_an_artifact_names_no_class_that_the_image_does_not_hold(
    fitted: Model, fitted_book: Project
) -> None:
    data = fitted_book.artifact(fitted.candidate).read_bytes()
    assert b"stages.models.artifact" in data
    assert not re.findall(rb"\b(%s)\b" % "|".join(("__main__", *ABSENT)).encode(), data)


def test_an_artifact_says_what_it_was_trained_on_and_by(
    fitted: Model, fitted_book: Project
) -> None:
    rows = fitted_book.split("train")
    assert fitted.trained_on["rows"] == len(rows)
    assert fitted.trained_on["bad_rate"] == pytest.approx(rows["_bad"].mean())
    assert fitted.trained_on["to"] == str(rows["_date"].max().date())
    assert fitted.versions["numpy"] == np.__version__


@pytest.mark.parametrize(("name", "library"), [("xgboost", "xgboost"), ("lightgbm", "lightgbm")])
def test_a_booster_records_the_version_of_its_library(
    models: dict[str, Model], name: str, library: str
) -> None:
    module = __import__(library)
    assert models[name].versions[library] == module.__version__


def test_an_artifact_carries_its_contract(fitted: Model, fitted_book: Project) -> None:
    assert fitted.contract_text == (fitted_book.data / "contract.yaml").read_text()
    assert fitted.contract == contract(fitted.contract_text)


@pytest.mark.parametrize(
    "content", [b"", b"winner: lightgbm\n", b"{}", b"a,b\n1,2\n", b"\x80\x04."]
)
def test_a_file_that_is_no_pickle_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.joblib").write_bytes(content)
    with pytest.raises(TypeError, match=r"x\.joblib is not an artifact of this pipeline"):
        artifact.load(tmp_path / "x.joblib")


def test_a_file_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    joblib.dump({"not": "a model"}, tmp_path / "x.joblib")
    with pytest.raises(TypeError, match=r"x\.joblib must hold .*Model; got dict"):
        artifact.load(tmp_path / "x.joblib")
