from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from release import remote
from release.remote import RemoteError

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in dvc


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two tracked files, and a folder as its remote; not to be changed."""
    folder = tmp_path_factory.mktemp("made_once")
    (folder / "store").mkdir()
    for name in ("loans", "people"):
        (folder / name).write_text(name)
    environment = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / "site")}
    for words in (
        ("git", "init", "--quiet"),
        (sys.executable, "-m", "dvc", "init", "--quiet"),
        (sys.executable, "-m", "dvc", "remote", "add", "-d", "local", "store"),
        (sys.executable, "-m", "dvc", "add", "--quiet", "loans", "people"),
    ):
        subprocess.run(
            words, check=True, capture_output=True, cwd=folder, env=os.environ | environment
        )
    return folder


@pytest.fixture
def repository(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository and its remote."""
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return tmp_path


def objects(folder: Path) -> list[Path]:
    """The files of a cache or a remote."""
    return [path for path in (folder / "files").rglob("*") if path.is_file()]


def test_pushed_files_are_in_the_remote_and_can_be_pulled(repository: Path) -> None:
    assert remote.main(["push"]) == 0
    assert remote.main(["check"]) == 0
    (repository / "loans").unlink()
    for path in objects(repository / ".dvc/cache"):
        path.unlink()
    assert remote.main(["pull"]) == 0
    assert (repository / "loans").read_text() == "loans"


def test_files_that_were_not_pushed_are_named(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert remote.main(["check"]) == 1
    message = (
        "remote: cannot check: not in the remote: loans, people; run `python -m release.remote"
    )
    assert capsys.readouterr().err.startswith(message)


def test_objects_that_the_remote_lost_are_named_with_their_paths(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert remote.main(["push"]) == 0
    [lost] = [path for path in objects(repository / "store") if path.read_text() == "people"]
    lost.unlink()
    (repository / "people").unlink()
    for path in objects(repository / ".dvc/cache"):
        path.unlink()
    assert remote.main(["pull"]) == 1
    place = lost.relative_to(repository / "store")
    assert f"damaged or missing in the remote: people ({place});" in capsys.readouterr().err


def damage(folder: Path, content: str) -> Path:
    """Turn a bit of the object that holds a content; returns its path."""
    [path] = [path for path in objects(folder) if path.read_text() == content]
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    return path


def test_an_undamaged_cache_is_confirmed_without_the_remote(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "store").rmdir()
    assert remote.main(["check", "--local"]) == 0
    assert capsys.readouterr().out.startswith("The cache is sound")


def test_a_corrupt_object_of_the_cache_is_noticed_and_repaired_from_the_remote(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert remote.main(["push"]) == 0
    corrupt = damage(repository / ".dvc/cache", "people")
    capsys.readouterr()
    assert remote.main(["check", "--local"]) == 0
    place = corrupt.relative_to(repository / ".dvc/cache")
    output = capsys.readouterr().out
    assert output.startswith(f"Repaired from the remote: people ({place}) was damaged in the cache")
    assert corrupt.read_text() == "people"
    assert not corrupt.stat().st_mode & 0o222
    assert remote.main(["check", "--local"]) == 0
    assert "Repaired" not in capsys.readouterr().out
    assert not list(corrupt.parent.glob(".*"))


def test_a_corrupt_listing_of_a_folder_is_repaired_too(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "books").mkdir()
    (repository / "books" / "one").write_text("one")
    dvc = (sys.executable, "-m", "dvc", "add", "--quiet", "books")
    subprocess.run(dvc, check=True, capture_output=True)
    assert remote.main(["push"]) == 0
    [listing] = [path for path in objects(repository / ".dvc/cache") if path.suffix == ".dir"]
    content = listing.read_text()
    damage(repository / ".dvc/cache", content)
    damage(repository / ".dvc/cache", "one")
    assert remote.main(["check", "--local"]) == 0
    output = capsys.readouterr().out
    assert "Repaired from the remote: books (" in output
    assert "Repaired from the remote: books/one (" in output
    assert listing.read_text() == content


def test_a_corrupt_object_that_is_damaged_in_the_remote_too_is_named(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert remote.main(["push"]) == 0
    damage(repository / "store", "people")
    damage(repository / ".dvc/cache", "people")
    damage(repository / ".dvc/cache", "loans")
    capsys.readouterr()
    assert remote.main(["check", "--local"]) == 1
    assert "damaged in the cache and not whole in the remote: people (" in capsys.readouterr().err


def test_local_is_an_option_of_check_alone() -> None:
    with pytest.raises(SystemExit):
        remote.main(["push", "--local"])


def test_a_folder_without_dvc_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert remote.main(["check"]) == 1


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("ERROR: unexpected error - Forbidden\n\nHaving any troubles?", "Forbidden"),
        ("WARNING: old\nERROR: failed to pull\nERROR: more", "failed to pull"),
        ("Traceback", "Traceback"),
    ],
)
def test_the_first_error_of_dvc_is_its_reason(output: str, reason: str) -> None:
    assert remote.reason(output) == reason


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("The request signature we calculated does not match", "the secret is not that of the key"),
        ("An error occurred (SignatureDoesNotMatch)", "compare AWS_SECRET_ACCESS_KEY"),
        ("The AWS Access Key Id you provided does not exist", "the account has no such key"),
        ("An error occurred (InvalidAccessKeyId)", "compare AWS_ACCESS_KEY_ID"),
        ("An error occurred (ExpiredToken)", "the credentials have expired; assume"),
        ("The provided token has expired.", "the credentials have expired; assume"),
        ("An error occurred (InvalidToken)", "the credentials have expired; assume"),
        ("An error occurred (RequestTimeTooSkewed)", "the clock of this machine"),
        (
            "failed to transfer 'md5: 12' - Access Denied: An error occurred (AccessDenied) when "
            "calling the PutObject operation: Access Denied",
            "a push needs s3:PutObject",
        ),
        ("(AccessDenied) when calling the UploadPart operation", "a push needs s3:PutObject"),
        (
            "(403) when calling the HeadObject operation: Forbidden",
            "s3:GetObject",
        ),
        ("Unable to locate credentials", "no credentials: set AWS_ACCESS_KEY_ID"),
        ("bucket 'lost' does not exist: The specified bucket does not exist", "compare the URL"),
        ('Could not connect to the endpoint URL: "http://s3"', "not reachable: check the network"),
        ("Something else", "see the message"),
    ],
)
def test_an_error_of_s3_comes_with_advice(
    error: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], 255, "", f"ERROR: unexpected error - {error}")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr(remote, "list_error", str)
    with pytest.raises(RemoteError, match=advice):
        remote.dvc("push")


class S3(BaseHTTPRequestHandler):
    """An S3 that answers every request by its refusal; a HEAD gets no words, as at AWS."""

    protocol_version = "HTTP/1.1"
    code = ""

    def answer(self, status: int, body: str) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    def do_HEAD(self) -> None:
        """Nothing is there, for whom may read."""
        self.answer(404 if self.code == "AccessDenied" else 403, "")

    def do_GET(self) -> None:
        """An empty bucket, for whom may read."""
        if self.code == "AccessDenied":
            empty = "<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>"
            self.answer(200, f"<ListBucketResult>{empty}</ListBucketResult>")
        else:
            self.do_PUT()

    def do_PUT(self) -> None:
        """Refuse."""
        self.answer(403, f"<Error><Code>{self.code}</Code><Message>No</Message></Error>")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("SignatureDoesNotMatch", "the secret is not that of the key"),
        ("InvalidAccessKeyId", "the account has no such key"),
        ("ExpiredToken", "the credentials have expired; assume the role again"),
        ("AccessDenied", "these credentials may read and not write; a push needs s3:PutObject"),
    ],
)
def test_a_push_that_s3_refuses_is_explained(
    code: str,
    advice: str,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(S3, "code", code)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    config = "[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://bucket/dvc\n"
    (repository / ".dvc/config").write_text(config)
    with ThreadingHTTPServer(("127.0.0.1", 0), S3) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        assert remote.main(["push"]) == 1
        server.shutdown()
    assert advice in capsys.readouterr().err
