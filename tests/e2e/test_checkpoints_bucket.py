"""Checkpoints in a bucket with object lock cannot be replaced or deleted.

Object lock is moto's, a stand-in for AWS: the S3 server of the other tests (Swift) has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from release.checkpoints import main
from service.transparency.signing import Signer, sign_checkpoint
from service.transparency.verify_receipt import LOG, LogCheckpoint

pytestmark = pytest.mark.e2e

SIGNER = Signer.from_seed("lender.example/ledger", LOG, bytes(32))
TARGET = "s3://evidence/ledger"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    moto = pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto.mock_aws():
        client = botocore.session.get_session().create_client("s3")
        client.create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
        client.create_bucket(Bucket="plain")
        yield client


def write(folder: Path, size: int, root: bytes = bytes(32)) -> str:
    note = sign_checkpoint(LogCheckpoint(SIGNER.key.name, size, root), SIGNER)
    (folder / f"{size}.checkpoint").write_text(note)
    return note


def test_a_checkpoint_is_kept_once_and_cannot_be_deleted(client: Any, tmp_path: Path) -> None:
    note = write(tmp_path, 7)
    assert main([str(tmp_path), TARGET, "--days", "30"]) == 0
    assert main([str(tmp_path), TARGET, "--days", "30"]) == 0
    (version,) = client.list_object_versions(Bucket="evidence")["Versions"]
    assert version["Key"] == "ledger/000000000007.checkpoint"
    where = {"Bucket": "evidence", "Key": version["Key"], "VersionId": version["VersionId"]}
    assert client.get_object(**where)["Body"].read().decode() == note
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(**where)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(**where, BypassGovernanceRetention=True)


def test_another_checkpoint_of_the_same_size_is_a_conflict(
    client: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, 7)
    assert main([str(tmp_path), TARGET, "--days", "30"]) == 0
    forged = write(tmp_path, 7, b"x" * 32)
    client.put_object(Bucket="evidence", Key="ledger/000000000007.checkpoint", Body=forged.encode())
    assert main([str(tmp_path), TARGET, "--days", "30"]) == 1
    assert "signed for different entries" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "days", "words"),
    [
        ("s3://plain", "30", "does not lock objects"),
        ("evidence", "30", "must be s3://BUCKET/PREFIX"),
        (TARGET, "0", "must be at least 1"),
    ],
)
def test_what_cannot_keep_checkpoints_is_named(
    client: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    target: str,
    days: str,
    words: str,
) -> None:
    write(tmp_path, 7)
    assert main([str(tmp_path), target, "--days", days]) == 2
    assert words in capsys.readouterr().err
