"""Data, models and experiments through a real S3-compatible server, and its failures."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import s3fs
import yaml

from release import remote
from tests.support.books import ROOT
from tests.support.clone import Clone, stages_run

from .processes import wait_until
from .s3 import S3

pytestmark = pytest.mark.e2e

CHANGES = {r"candidates: \[.*\]": "candidates: [logistic, lightgbm]"}
WINNER, REFERENCE = "models/winner.json", "models/reference.json"
OUTPUTS = ("data/loan_book/raw", "data/loan_book/prepared", "models/candidates", WINNER)


class Lender:
    """One who trained a small book, and the bucket that it was pushed to."""

    def __init__(self, s3: S3, folder: Path) -> None:
        self.s3, self.clone = s3, Clone(folder / "lender", **CHANGES)
        self.clone.simulate(2000)
        self.clone.environment |= s3.environment | {
            "AWS_MAX_ATTEMPTS": "1",
            "PYTHONPATH": str(ROOT),
        }
        self.clone.dvc("repro")
        self.clone.commit("Train")
        self.bucket = s3.make_bucket()
        self.point(self.clone, self.bucket)
        self.said = self.remote(self.clone, "push")

    def point(self, clone: Clone, bucket: str) -> None:
        """Lead the committed remote to a bucket, in a file that git does not see."""
        clone.dvc("remote", "modify", "--local", "s3", "url", f"s3://{bucket}/dvc")

    def remote(self, clone: Clone, verb: str, *, check: bool = True) -> str:
        """Run `python -m release.remote`; what it said."""
        return clone.run("python", "-m", "release.remote", verb, check=check)

    def newcomer(self, folder: Path) -> Clone:
        """A fresh clone with an empty cache."""
        copy = Clone.__new__(Clone)
        copy.folder, copy.environment = folder, dict(self.clone.environment)
        self.clone.run("git", "clone", "--quiet", str(self.clone.folder), str(folder))
        self.point(copy, self.bucket)
        return copy

    def files(self) -> s3fs.S3FileSystem:
        """The bucket, seen directly."""
        return s3fs.S3FileSystem(
            key=self.s3.key,
            secret=self.s3.secret,
            endpoint_url=self.s3.endpoint,
            skip_instance_cache=True,
            use_listings_cache=False,
        )

    def object(self, path: str) -> str:
        """Where the bucket has an output."""
        stages = yaml.safe_load((self.clone.folder / "dvc.lock").read_text())["stages"].values()
        outs = [out for stage in stages for out in stage.get("outs", [])]
        [oid] = {out["md5"] for out in outs if out["path"] == path}
        return f"{self.bucket}/dvc/{remote.key(oid)}"


@pytest.fixture(scope="module")
def lender(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Lender:
    return Lender(s3, tmp_path_factory.mktemp("s3"))


@pytest.fixture
def newcomer(lender: Lender, tmp_path: Path) -> Clone:
    return lender.newcomer(tmp_path / "newcomer")


def same(one: Clone, other: Clone) -> bool:
    """Whether two clones hold the same bytes in every output."""
    files = [
        path.relative_to(one.folder)
        for name in OUTPUTS
        for path in [one.folder / name, *(one.folder / name).rglob("*")]
        if path.is_file()
    ]
    return len(files) > 5 and all(
        (one.folder / path).read_bytes() == (other.folder / path).read_bytes() for path in files
    )


def test_a_fresh_clone_gets_everything_and_runs_nothing(lender: Lender, newcomer: Clone) -> None:
    assert stages_run(newcomer.dvc("repro", "--pull")) == []
    assert newcomer.facts("status") == {}
    assert same(lender.clone, newcomer)


def test_training_that_was_done_before_comes_from_the_run_cache(newcomer: Clone) -> None:
    (newcomer.folder / "dvc.lock").unlink()
    newcomer.dvc("pull", "data/loan_book/raw.dvc")
    # What git keeps, as the files of the search, is not in the run-cache.
    searches = ["search@logistic", "search@lightgbm"]
    quick = ["check", "preprocess", "featurize", *searches, "evaluate", "dossier"]
    assert stages_run(newcomer.dvc("repro", "--pull")) == quick
    assert newcomer.run("git", "status", "--short") == ""


def test_a_pull_brings_everything(lender: Lender, newcomer: Clone) -> None:
    lender.remote(newcomer, "pull")
    assert newcomer.facts("status") == {}
    assert same(lender.clone, newcomer)


def test_experiments_travel_with_their_data(
    lender: Lender, newcomer: Clone, tmp_path: Path
) -> None:
    hub = tmp_path / "hub.git"
    lender.clone.run("git", "init", "--quiet", "--bare", str(hub))
    lender.clone.dvc("exp", "run", "--name", "cautious", "-S", "policy.loss_given_default=0.9")
    metrics = lender.clone.metrics
    lender.clone.dvc("exp", "push", str(hub), "cautious")
    lender.clone.run("git", "checkout", "--quiet", "--", ".")
    lender.clone.dvc("checkout")
    newcomer.run("git", "remote", "set-url", "origin", str(hub))
    newcomer.dvc("exp", "pull", "origin", "cautious")
    newcomer.dvc("exp", "apply", "cautious")
    newcomer.dvc("pull")
    assert newcomer.metrics == metrics
    assert newcomer.facts("status") == {}


def test_a_push_that_a_dying_server_broke_is_completed_by_the_next(
    lender: Lender, tmp_path: Path
) -> None:
    s3 = S3(tmp_path / "mortal")
    s3.root.mkdir()
    s3.start()
    try:
        owner = lender.newcomer(tmp_path / "owner")
        owner.dvc("pull")
        owner.environment |= s3.environment
        lender.point(owner, s3.make_bucket())
        (owner.folder / "data/loan_book/raw/large.bin").write_bytes(bytes(range(256)) * 400_000)
        owner.dvc("add", "--quiet", "data/loan_book/raw")
        push = start(owner, "push", "--run-cache", "--jobs", "1")
        wait_until(lambda: stored(s3) > 1_000_000 or push.poll() is not None, 60, "a first object")
        s3.kill()
        assert push.wait(120) != 0
        s3.start()
        owner.dvc("push", "--run-cache")
        shutil.rmtree(owner.folder / ".dvc/cache")
        shutil.rmtree(owner.folder / "data/loan_book/raw")
        owner.dvc("pull")
        assert (owner.folder / "data/loan_book/raw/large.bin").stat().st_size == 256 * 400_000
        assert same(lender.clone, owner)
    finally:
        s3.stop()


def start(clone: Clone, *words: str) -> subprocess.Popen[bytes]:
    """Start DVC in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *words],
        cwd=clone.folder,
        env=clone.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def stored(s3: S3) -> int:
    """Bytes that a server keeps, temporary ones included."""
    return sum(
        path.stat().st_size for path in list((s3.root / "node").rglob("*")) if path.is_file()
    )


def test_a_damaged_object_is_noticed_and_named(lender: Lender, newcomer: Clone) -> None:
    files, place = lender.files(), lender.object(REFERENCE)
    whole = files.cat(place)
    files.pipe(place, whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        complaint = lender.remote(newcomer, "pull", check=False)
    finally:
        files.pipe(place, whole)
    assert "damaged or missing in the remote" in complaint
    assert f"{REFERENCE} ({place.partition('/dvc/')[2]})" in complaint
    assert not (newcomer.folder / REFERENCE).exists()


def test_a_missing_object_is_noticed_and_named(lender: Lender, newcomer: Clone) -> None:
    files, place = lender.files(), lender.object("models/reference.json")
    whole = files.cat(place)
    files.rm(place)
    try:
        pulled = lender.remote(newcomer, "pull", check=False)
        checked = lender.remote(lender.clone, "check", check=False)
    finally:
        files.pipe(place, whole)
    assert "damaged or missing in the remote: models/reference.json (files/md5/" in pulled
    assert (
        "not in the remote: models/reference.json; run `python -m release.remote push`" in checked
    )


def test_a_remote_that_has_everything_is_told_so(lender: Lender) -> None:
    assert "The remote has everything" in lender.remote(lender.clone, "check")


FAULTS = {
    "a wrong secret": ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "access denied: the"),
    "an unknown key": ({"AWS_ACCESS_KEY_ID": "who:ever"}, "access denied: the"),
    "no credentials": (
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        "no credentials: set",
    ),
    "no server": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "not reachable: check the network"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", remote.VERBS)
def test_a_person_is_told_what_to_do_about(
    newcomer: Clone, lender: Lender, verb: str, fault: str
) -> None:
    changes, words = FAULTS[fault]
    newcomer.environment |= changes
    assert words in lender.remote(newcomer, verb, check=False)


@pytest.mark.parametrize("verb", remote.VERBS)
def test_a_person_is_told_about_a_missing_bucket(
    newcomer: Clone, lender: Lender, verb: str
) -> None:
    newcomer.dvc("remote", "modify", "--local", "s3", "url", "s3://no-such-bucket/dvc")
    assert "the bucket does not exist" in lender.remote(newcomer, verb, check=False)


def test_the_committed_remote_is_s3_and_has_no_secret() -> None:
    config = (ROOT / ".dvc/config").read_text()
    assert "url = s3://" in config
    assert not any(word in config.lower() for word in ("key", "secret", "token", "password"))
