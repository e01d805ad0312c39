"""The documented walk from a changed parameter to production and back: every command, executed.

Real are git, DVC, the S3 server, the image and its engine, the registry, and a host with HAProxy
and containers. Stand-ins are GitHub's command line (tests/support/fakes/gh_fake.py), SSM and its
agent (tests/support/fakes/ssm_fake.py, which runs the real host script), and, where no image can be
pulled, the base image, whose label is turned off so that the result may be published. The book is
small and has no floors of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from tests.support.books import ROOT
from tests.support.clone import Clone
from tests.support.fakes import gh_fake, ssm_fake

from .base_image import BASE_IMAGE, STAND_IN
from .built import build, on_path, wheelhouse
from .engine import Engine
from .host import Host, Traffic, traffic
from .processes import missing
from .registry import Registry
from .s3 import S3

pytestmark = pytest.mark.e2e

PAGE = (ROOT / "docs/how-to/release.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line.partition("  #")[0].strip() for line in "".join(BLOCKS).splitlines()]
SMALL = {r"candidates: \[.*\]": "candidates: [logistic, xgboost]", r"trees: \d+": "trees: 100"}
ROWS = 6000
PARTS = (
    "release",
    "requirements",
    "service",
    "Makefile",
    "pyproject.toml",
)  # beside what a Clone has
BEFORE = "v0.1.0"


class Lender:
    """A small lender's clone, and the environment that leads its commands to the parts above."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = Clone(folder / "clone", **SMALL)
        self.environment = self.clone.environment
        self.environment |= {"MAKELEVEL": "0", "MAKEFLAGS": ""}  # a shell outside make
        for part in PARTS:
            self.clone.run("cp", "--recursive", "--preserve", str(ROOT / part), ".")
        (self.clone.folder / ".venv").mkdir()
        for part in ("bin", "lib", "pyvenv.cfg"):
            (self.clone.folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
        (self.clone.folder / ".venv/.ready").touch()
        policy = self.clone.folder / "models/gate.yaml"
        limits = yaml.safe_load(policy.read_text()) | {"books": {}}
        limits["max_unexcluded_loss"] = {}  # of 1,199 rows: they exclude no small loss
        limits["calibration"]["max_gap"] = 0.03  # of 1,199 rows: the standard error is 0.008
        policy.write_text(yaml.safe_dump(limits))
        self.clone.simulate(ROWS)
        self.clone.dvc("repro", "--quiet")
        self.clone.commit("The first model")

    def keep_data(self, s3: S3) -> None:
        """Lead the committed remote to a bucket, and push."""
        self.environment |= s3.environment
        url = f"s3://{s3.make_bucket()}/dvc"
        self.clone.dvc("remote", "modify", "--local", "s3", "url", url)
        self.clone.dvc("push", "--quiet")

    def keep_code(self) -> None:
        """Give the clone a place to push to."""
        hub = str(self.folder / "hub.git")
        self.clone.run("git", "init", "--quiet", "--bare", hub)
        self.clone.run("git", "remote", "add", "origin", hub)
        self.clone.run("git", "push", "--quiet", "--set-upstream", "origin", "main")

    def open(self, bins: Path) -> None:
        """Be a job of a pull request, with GitHub's command line among the programs in `bins`."""
        self.environment |= gh_fake.install(bins, self.folder / "gh.json")
        self.environment |= {"GH_TOKEN": "token", "GH_REPO": "lender/credit", "PULL": "7"}

    def build_with(self, engine: Engine, index: str) -> None:
        """Let builds reach the engine, and packages on the loopback interface."""
        reached = on_path(engine, self.folder / "bin", "--network=host")
        self.environment |= engine.environment | reached
        self.environment |= {"UV_FIND_LINKS": index, "UV_NO_INDEX": "1"}
        self.environment["CREDIT_PD_BASE_IMAGE"] = BASE_IMAGE
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{reached['PATH']}"
        self.environment["BENTOML_HOME"] = str(self.folder / "bentoml")


@dataclass
class Walk:
    """What came of the commands: each one's status and words, and what clients saw meanwhile."""

    done: list[tuple[int, str]]
    seen: Traffic
    comments: list[str]
    before: str  # the image that was live, by its digest


@pytest.fixture(scope="module")
def host(
    engine: Engine, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """A serving host as the installer leaves it; its engine is known by options alone."""
    if os.geteuid() != 0:
        missing("root, who gives the ledger's folder to the service,")
    host = Host(tmp_path_factory.mktemp("host"), engine, f"{registry.address}/credit-pd")
    host.install()
    socket = engine.environment.get("DOCKER_HOST")
    words = [*engine.command, *(["--host", socket] if socket else [])]
    host.change(engine=" ".join(words), memory="768m", pids=256, ready_seconds=120, watch_seconds=2)
    with (host.folder / "etc/credit-pd/service.env").open("a") as file:
        file.write("CREDIT_PD_WITHOUT_USERS=guarded\n")
    host.start_proxy()
    yield host
    host.clean()


def genuine(image: str, name: str, folder: Path) -> list[str]:
    """Words for the engine: give an image a name, and deny that its base is a stand-in."""
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(f"ARG IMAGE\nFROM $IMAGE\nLABEL {STAND_IN}=false\n")
    return ["build", "--quiet", f"--build-arg=IMAGE={image}", f"--tag={name}", str(folder)]


def script(engine: Engine, folder: Path) -> str:
    """The commands in one shell, until one fails; their status and words go to files."""
    lines = []
    for number, command in enumerate(COMMANDS):
        file = folder / str(number)
        lines.append(f"{{ {command}\n}} >{file}.said 2>&1; echo $? >{file}.status")
        lines.append(f"[ $(cat {file}.status) = 0 ] || exit 1")
        if command.startswith("image="):
            name = Path(engine.command[0]).name
            lines.append(" ".join([name, *genuine('"$image"', '"$image"', folder / "genuine")]))
    return "\n".join(lines)


@pytest.fixture(scope="module")
def walk(
    engine: Engine,
    base_image: str,
    registry: Registry,
    s3: S3,
    host: Host,
    tmp_path_factory: pytest.TempPathFactory,
) -> Walk:
    """Everything, from a first release to the last command."""
    folder = tmp_path_factory.mktemp("walk")
    built = build(engine, base_image, tmp_path_factory.mktemp("image"))
    engine.run(*genuine(built.image, f"{host.repository}:before", folder / "genuine"))
    engine.run("push", f"{host.repository}:before")
    before = registry.digest("credit-pd", "before")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=built.checkout, capture_output=True, text=True, check=True
    )
    model = sha256((built.checkout / "models/winner.json").read_bytes()).hexdigest()
    host.sign(before, commit=commit.stdout.strip(), model=model, released="2020-01-01T00:00:00")
    status, text = host.deploy(before)
    assert status == 0, text
    record = json.loads((built.checkout / "models/golden.jsonl").read_text().splitlines()[0])
    asked = {
        "application": json.dumps(record["application"]).encode(),
        "version_of": lambda answer: answer["identity"]["image"],
        "pause": 0.2,
    }
    lender = Lender(folder)
    lender.keep_data(s3)
    lender.keep_code()
    promote = ("release.registry", "promote", BEFORE, "--image", before, "--push")
    lender.clone.run(sys.executable, "-m", *promote)
    agent = ssm_fake.Host("i-one", host.folder).move_files("")
    with ExitStack() as running:
        ssm = running.enter_context(ssm_fake.SSM([agent]).running())
        lender.environment |= {"AWS_ENDPOINT_URL_SSM": ssm, "ECR_REPOSITORY": host.repository}
        lender.environment |= {"RELEASE_KEY": str(host.releases.secret) if host.releases else ""}
        index = running.enter_context(wheelhouse(folder / "wheels"))
        lender.build_with(engine, index)
        lender.open(folder / "bin")
        seen = running.enter_context(traffic(host, **asked))
        seen.wait_for(f"{host.repository}@{before}", 10)
        subprocess.run(
            ["bash", "-c", script(engine, folder)],
            cwd=lender.clone.folder,
            env=lender.environment,
            check=False,
        )
        seen.wait_for(f"{host.repository}@{before}", 10)
    done = [
        (int((folder / f"{n}.status").read_text()), (folder / f"{n}.said").read_text())
        for n, _ in enumerate(COMMANDS)
        if (folder / f"{n}.status").exists()
    ]
    return Walk(
        done,
        seen,
        [each["body"] for each in gh_fake.read_store(folder / "gh.json")["comments"]],
        before,
    )


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=COMMANDS)
def test_a_command_of_the_walk_does_what_the_readme_says(walk: Walk, number: int) -> None:
    assert len(walk.done) > number, "a command before failed"
    status, output = walk.done[number]
    assert status == 0, output


def output_of(walk: Walk, command: str) -> str:
    """What the first command with these words said."""
    number = next(n for n, words in enumerate(COMMANDS) if command in words)
    return walk.done[number][1]


def test_the_gate_passes_the_change(walk: Walk) -> None:
    assert "\nPASS: No floor is broken" in output_of(walk, "release.gate")


def test_the_pull_request_has_the_report_as_its_one_comment(walk: Walk) -> None:
    [comment] = walk.comments
    assert "## ✅ Pass" in comment
    assert "`train.xgboost.max_depth` | `3` | `4`" in comment


def test_clients_saw_the_image_before_then_the_change_then_the_one_before(walk: Walk) -> None:
    released = output_of(walk, "--verify").split()[-1]
    assert list(walk.seen.versions) == [f"{released.partition('@')[0]}@{walk.before}", released]
    assert f"serves {released.partition('@')[0]}@{walk.before}" in output_of(walk, "--rollback")


def test_no_client_saw_a_failure(walk: Walk) -> None:
    assert walk.seen.failures == []


def test_the_registry_tells_what_was_live_and_from_when(walk: Walk) -> None:
    periods = [line.split()[-3:] for line in output_of(walk, "registry show").splitlines()]
    assert [version for version, _, _ in periods] == [BEFORE, "v0.1.1", BEFORE]
    images = [image for _, _, image in periods]
    assert images[0] == images[2] == walk.before != images[1]
