"""The public loan books, where they are at hand: the shipped contracts fit them."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest

from stages.contract.schema import Mode
from stages.metrics import metrics
from stages.models import artifact
from tests.support.books import ROOT, Project

REAL = ROOT.parent / "shared" / "data"
# Far below what whole boosters reach, far above what a wrong column or split would.
FLOORS: dict[tuple[str, Mode], float] = {
    ("loan_book", "application"): 0.97,
    ("loan_applications", "application"): 0.87,
    ("loan_applications", "pricing"): 0.92,
}
pytestmark = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there")


@pytest.fixture(scope="module", params=["loan_book", "loan_applications"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A public book, prepared under its shipped contract."""
    text = (ROOT / "data" / request.param / "contract.yaml").read_text()
    project = Project(tmp_path_factory.mktemp(request.param), text)
    shutil.copytree(REAL / request.param, project.data / "raw")
    return project.run("preprocess")


def quality(real: Project) -> dict[str, Any]:
    return dict(json.loads((real.data / "quality.json").read_text()))


def name_of(real: Project) -> str:
    return real.folder.name.rstrip("0123456789")


def test_what_is_known_to_be_wrong_with_a_book_is_found(real: Project) -> None:
    report = quality(real)
    if name_of(real) == "loan_book":
        assert report["repaired"]["loan_purpose"]["Personaal → Personal"] > 0
        assert report["invalid"][
            "processing_fee: fee_within_loan (The processing fee is above 3 % of the loan amount)"
        ]
    else:
        assert report["invalid"]["person_age: repeated row"]["rows"] == 165
        assert report["invalid"]["person_age: maximum (100)"]["example"]["value"] in ("123", "144")
    assert report["invalid_share"] < 0.05


def test_a_small_booster_ranks_well_and_honestly(real: Project) -> None:
    for (dataset, mode), floor in FLOORS.items():
        if dataset == name_of(real):
            real.set(mode=mode, train__lightgbm__trees=80, train__lightgbm__learning_rate=0.1)
            fitted = artifact.load(real.run("featurize", "lightgbm").artifact("lightgbm"))
            pd = fitted.predict(real.columns("test", mode))
            bad = real.split("test")["_bad"].to_numpy(np.int64)
            assert metrics.roc_auc(bad, pd) > floor
            assert pd.mean() == pytest.approx(bad.mean(), abs=0.02)
