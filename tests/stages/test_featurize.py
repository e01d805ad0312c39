"""The featurize stage: matrices of every split, and facts of the training rows alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stages.contract.schema import ContractError
from stages.features.matrix import Features
from tests.support import dask_cluster
from tests.support.books import CONTRACT, Project, book, contract

SPLITS = ("train", "validation", "test")


@pytest.fixture
def prepared(project: Project) -> Project:
    return project.run("preprocess")


def rewrite(project: Project, split: str, **columns: object) -> None:
    """Change columns of a prepared split."""
    path = project.data / "prepared" / f"{split}.parquet"
    pd.read_parquet(path).assign(**columns).to_parquet(path, index=False)


def matrices(project: Project, split: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(project.data / "features" / f"{split}.npz") as rows:
        return rows["x"], rows["bad"]


def fitted(project: Project) -> bytes:
    return (project.data / "features" / "fitted.json").read_bytes()


@pytest.mark.parametrize("split", SPLITS)
def test_a_matrix_has_a_row_a_loan_and_a_column_a_feature(split: str, prepared: Project) -> None:
    x, bad = matrices(prepared.run("featurize"), split)
    features = Features(contract(), "application")
    assert x.shape == (len(prepared.split(split)), len(features.names))
    np.testing.assert_array_equal(x, features(prepared.columns(split)))
    np.testing.assert_array_equal(bad, prepared.split(split)["_bad"])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_nothing_fitted_depends_on_rows_that_are_held_out(split: str, prepared: Project) -> None:
    before = fitted(prepared.run("featurize"))
    bad = 1 - prepared.split(split)["_bad"]
    rewrite(prepared, split, amount=49_999.0, income=1.0, months=np.nan, purpose="car", _bad=bad)
    assert fitted(prepared.run("featurize")) == before


def test_what_is_fitted_depends_on_training_rows(prepared: Project) -> None:
    before = fitted(prepared.run("featurize"))
    rewrite(prepared, "train", amount=prepared.split("train")["amount"] * 2)
    assert fitted(prepared.run("featurize")) != before


def test_the_mode_decides_which_features_there_are(prepared: Project) -> None:
    names = [
        set(json.loads(fitted(prepared.set(mode=mode).run("featurize")))["names"])
        for mode in ("application", "pricing")
    ]
    assert names[1] - names[0] == {"grade"}


def test_the_same_rows_give_the_same_bytes(prepared: Project) -> None:
    first = prepared.run("featurize").files()
    assert prepared.run("featurize").files() == first


def test_a_feature_without_values_in_training_ends_the_stage_and_leaves_the_outputs(
    prepared: Project,
) -> None:
    before = prepared.run("featurize").files()
    rewrite(prepared, "train", income=np.nan)
    changed = prepared.files()
    with pytest.raises(ContractError, match="income: every value is missing in the"):
        prepared.run("featurize")
    assert prepared.files() == changed
    assert {n: b for n, b in changed.items() if "features" in n} == {
        n: b for n, b in before.items() if "features" in n
    }


def test_a_loan_without_a_row_in_an_optional_table_is_a_feature_of_the_loan(
    project: Project,
) -> None:
    source = CONTRACT.replace("join: person}", "join: person, optional: true}")
    (project.data / "contract.yaml").write_text(source)
    tables = book()
    people = tables["people"].iloc[200:]
    project.write(tables | {"people": people}).run("preprocess", "featurize")
    x, _ = matrices(project, "test")
    names = Features(contract(source), "application").names
    loans = tables["loans"]["person"].iloc[project.split("test")["_row"]]
    there = loans.isin(people["person"]).to_numpy()
    np.testing.assert_array_equal(x[:, names.index("people_present")], there)
    np.testing.assert_array_equal(np.isnan(x[:, names.index("income")]), ~there)


def outputs(project: Project) -> dict[str, bytes]:
    """The bytes of all that featurize writes."""
    return {path.name: path.read_bytes() for path in (project.data / "features").iterdir()}


def cut_in_parts(project: Project, rows: int) -> None:
    """Write the prepared splits with parts of so many rows."""
    for split in SPLITS:
        path = project.data / "prepared" / f"{split}.parquet"
        pq.write_table(pq.read_table(path), path, row_group_size=rows)


def test_the_parts_of_the_rows_change_no_byte(prepared: Project) -> None:
    whole = outputs(prepared.run("featurize"))
    cut_in_parts(prepared, 37)
    assert outputs(prepared.run("featurize")) == whole


@pytest.mark.parametrize("workers", [1, 4])
def test_a_cluster_gives_the_same_bytes_as_one_process(
    workers: int, prepared: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_in_parts(prepared, 37)
    here = outputs(prepared.run("featurize"))
    with dask_cluster.running(tmp_path, workers) as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.address)
        assert outputs(prepared.set(compute="dask").run("featurize")) == here


def test_the_matrix_is_the_file_that_numpy_would_write(prepared: Project, tmp_path: Path) -> None:
    x, bad = matrices(prepared.run("featurize"), "test")
    np.savez(tmp_path / "test.npz", x=np.asfortranarray(x), bad=bad)
    assert (tmp_path / "test.npz").read_bytes() == outputs(prepared)["test.npz"]
