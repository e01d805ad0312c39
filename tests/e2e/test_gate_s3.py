"""The gate with its data in a real S3-compatible server, and with each of its failures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.trained.champions import Lender, code, predictions, quick, words

from .s3 import S3

__all__ = ["quick"]  # a fixture
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # in dvc
]
CONFIG = (
    "[core]\n    analytics = false\n    remote = s3\n['remote \"s3\"']\n    url = s3://{}/dvc\n"
)


@pytest.fixture
def aws(s3: S3, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a job that reaches the server."""
    for name, value in (s3.environment | {"AWS_MAX_ATTEMPTS": "1"}).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def lender(s3: S3, aws: pytest.MonkeyPatch, tmp_path: Path) -> Lender:
    """A pushed change of a champion whose predictions are in the remote alone."""
    made = Lender.with_champion(tmp_path)
    made.text(".dvc/config", CONFIG.format(s3.make_bucket())).commit("Keep the data in S3").push()
    made.change(predictions(noise=0.0))
    shutil.rmtree(made.folder / ".dvc" / "cache")
    made.lock()
    return made


def test_a_champion_is_read_from_s3(lender: Lender) -> None:
    judgement = lender.judge()
    assert (code(judgement), words(judgement, "cannot judge")) == (0, "")


def test_an_object_missing_in_s3_fails(lender: Lender) -> None:
    lender.run(predictions(noise=0.1)).commit("Change the model")
    judgement = lender.judge()
    assert code(judgement) == 1
    absent = "models/predictions.parquet, models/winner.json"
    assert f"not in the remote: {absent}; run `dvc push`" in words(judgement, "fail")


FAULTS: dict[str, tuple[dict[str, str], str]] = {
    "a wrong key": (
        {"AWS_SECRET_ACCESS_KEY": "wrong"},
        "access denied: the secret is not that of the",
    ),
    "no credentials": (
        dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ""),
        "no credentials: set AWS_ACCESS_KEY_ID",
    ),
    "no server": (
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        "not reachable: check the network and AWS_ENDPOINT_URL",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_keeps_the_gate_from_judging_is_reported(
    fault: str, lender: Lender, aws: pytest.MonkeyPatch
) -> None:
    changes, told = FAULTS[fault]
    for name, value in changes.items():
        aws.setenv(name, value) if value else aws.delenv(name)
    judgement = lender.judge()
    assert code(judgement) == 2
    assert told in judgement.sentence


def test_a_missing_bucket_is_reported(lender: Lender) -> None:
    lender.text(".dvc/config", CONFIG.format("no-such-bucket"))
    judgement = lender.judge()
    assert code(judgement) == 2
    assert "the bucket does not exist" in words(judgement, "cannot judge")
