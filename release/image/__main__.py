"""Build, check and publish the image of the service.

    bento=$(python -m release.image build)              # packs what serving needs as a bento
    image=$(python -m release.image containerize $bento)
    python -m release.image run-check $image            # runs it as a host does; prints JSON
    python -m release.image save $image FILE            # writes it to a file for another job
    python -m release.image load FILE                   # reads it there
    python -m release.image publish $image REPOSITORY   # prints REPOSITORY@sha256:...

The engine is `docker`, or the command in CREDIT_PD_ENGINE. The variables that service/image.py
lists select another package index for the build; none of them is written to the image. Exit status:
0 done, 1 failed, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from release.image import bento
from release.image.bento import NotBuildable
from release.image.container_engine import (
    ENGINES,
    VARIABLE,
    ContainerEngine,
    ContainerError,
    command,
)
from release.image.run_check import run_check
from release.steps import run_command, write_outputs
from stages import project
from stages.params import ParamsError

TARGET = "service.image:CreditPD"
DOCKERFILE = Path("service/Dockerfile")
BASE = Path(__file__).parent / "base/Dockerfile"
BASE_VARIABLE = "CREDIT_PD_BASE_IMAGE"
GOLDEN = Path("models/golden.jsonl")
STAND_IN = "credit-pd.stand-in-base"  # label of a base that only tests may use
NAME = "credit-pd"
PROOF = "from service.decision.engine import Engine; Engine.load()"  # scores the golden records
COMMIT = re.compile("[0-9a-f]{40}")
BASE_NAME = "org.opencontainers.image.base.name"
LABELS = {
    "git_commit": "org.opencontainers.image.revision",
    "dvc_lock": "credit-pd.dvc-lock",
    "data": "credit-pd.data",
    "model": "credit-pd.model",
    "winner": "credit-pd.winner",
    bento.HEADLINE: "credit-pd.roc-auc",
}


def build(root: Path, base_image: str | None) -> str:
    """Pack the checkout `root` into BentoML's store, and return the bento's tag `credit_pd:...`."""
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as temporary:
        folder, tools = Path(temporary) / "bento", Path(temporary) / "bin"
        tools.mkdir()
        # BentoML would install the newest uv for its own locking, which we do not use.
        (tools / "uv").write_text("#!/bin/sh\nexit 1\n")
        (tools / "uv").chmod(0o755)
        made = bento.lay_out(root, folder)
        command([sys.executable, "-c", PROOF], folder)
        base = base_image or os.environ.get(BASE_VARIABLE) or pinned_base()
        arguments = {"git_commit": made.git_commit, "base_image": base}
        printed = bentoml(
            *("build", TARGET, "--output", "tag"),
            *(f"--label={key}={value}" for key, value in made.labels().items()),
            *(f"--arg={key}={value}" for key, value in arguments.items() if value),
            cwd=folder,
            path=tools,
        )
    return printed.rpartition("__tag__:")[2]


def pinned_base() -> str:
    """Return the name of the base image in release/image/base/Dockerfile, with its digest."""
    lines = [line.split() for line in BASE.read_text().splitlines()]
    return next(words[1] for words in lines if words[:1] == ["FROM"])


def containerize(engine: ContainerEngine, tag: str, image: str | None, network: str | None) -> str:
    """Make an image of the bento `tag`, and return its name, by default `credit-pd:COMMIT`.

    `bentoml containerize` installs the packages; service/Dockerfile copies what the service needs.
    """
    if not tag:
        raise ContainerError("name the bento that `python -m release.image build` prints")
    if engine.backend not in ENGINES:
        raise ContainerError(f"{VARIABLE} must be {' or '.join(ENGINES)}; got {engine.backend!r}")
    about = json.loads(bentoml("get", tag, "--output", "json"))
    commit, _, dirty = about["labels"]["git_commit"].partition("-")
    name: str = image or f"{NAME}:{commit[:12]}{dirty and '-dirty'}"
    network_option = ("--opt", f"network={network}") if network else ()
    bentoml("containerize", tag, "--image-tag", tag, "--backend", engine.backend, *network_option)
    labels = {LABELS[key]: value for key, value in about["labels"].items() if key in LABELS}
    try:
        engine.run(
            *("build", "--file", str(DOCKERFILE), "--tag", name),
            f"--build-arg=BENTO_IMAGE={tag}",
            f"--build-arg=BASE_IMAGE={about['image']['base_image']}",
            *(f"--label={key}={value}" for key, value in labels.items()),
            f"--label={BASE_NAME}={about['image']['base_image']}",
            *((f"--network={network}",) if network else ()),
            *(("--format=docker",) if engine.backend == "podman" else ()),  # has health checks
            str(DOCKERFILE.parent),
        )
    finally:
        engine.run("rmi", tag, check=False)
    return name


def bentoml(*arguments: str, cwd: Path | None = None, path: Path | None = None) -> str:
    """Return what a command of BentoML prints."""
    return command([sys.executable, "-m", "bentoml", *arguments], cwd, path)


def publish(engine: ContainerEngine, image: str, repository: str) -> str:
    """Push `image`, and return REPOSITORY@DIGEST.

    Raises ContainerError for an image on a stand-in base, or of a commit with changes.
    """
    about = engine.inspect(image)
    labels = about["Config"]["Labels"] or {}
    if labels.get(STAND_IN) == "true":
        raise ContainerError(
            f"{image} stands on a stand-in base, for tests only; build it on a real one"
        )
    commit = labels.get(LABELS["git_commit"], "")
    if not COMMIT.fullmatch(commit):
        raise ContainerError(
            f"{image} must be built from a commit without changes; it says {commit!r}"
        )
    # A registry with immutable tags accepts a second build of a commit only under another tag.
    tag = f"{repository}:{commit}-{about['Id'].removeprefix('sha256:')[:12]}"
    engine.run("tag", image, tag)
    return f"{repository}@{push(engine, tag)}"


def push(engine: ContainerEngine, tag: str) -> str:
    """Push a tag, and return the digest that the registry gives it."""
    if engine.backend == "podman":  # its local digest differs from that of the compressed layers
        with tempfile.NamedTemporaryFile("r") as file:
            engine.run("push", "--digestfile", file.name, tag)
            return file.read().strip()
    engine.run("push", tag)
    pushed: list[str] = engine.inspect(tag)["RepoDigests"]
    names = (digest.partition("@") for digest in pushed)
    return next(digest for name, _, digest in names if name == tag.rpartition(":")[0])


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m release.image", description="The service's image."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("build", help="pack this checkout as a bento; prints its tag")
    packing.add_argument(
        "--base-image", help=f"instead of the one in {BASE.name}, or ${BASE_VARIABLE}"
    )
    making = commands.add_parser("containerize", help="make an image of a bento; prints its name")
    making.add_argument("bento")
    making.add_argument("--image", help="name of the image, by default credit-pd:COMMIT")
    making.add_argument("--network", help="network of the build's commands, as the engine has it")
    checking = commands.add_parser("run-check", help="run an image and check it; prints JSON")
    checking.add_argument("image")
    checking.add_argument("--golden", type=project.resolve, default=GOLDEN)
    saving = commands.add_parser("save", help="write an image to a file")
    saving.add_argument("image")
    loading = commands.add_parser("load", help="read an image from a file")
    for transfer in (saving, loading):
        transfer.add_argument("file", type=project.resolve)
    publishing = commands.add_parser("publish", help="push an image; prints its digest")
    publishing.add_argument("image")
    publishing.add_argument("repository")
    publishing.add_argument("--output", type=project.resolve, help="append digest=sha256:... there")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> str:
    """Run a command, and return the text to print."""
    engine = ContainerEngine()
    if options.command == "build":
        return build(Path.cwd(), options.base_image)
    if options.command == "containerize":
        return containerize(engine, options.bento, options.image, options.network)
    if options.command == "run-check":
        return json.dumps(asdict(run_check(engine, options.image, options.golden)), indent=2)
    if options.command == "save":
        options.file.parent.mkdir(parents=True, exist_ok=True)
        return engine.run("save", "--output", str(options.file), options.image)
    if options.command == "load":
        return engine.run("load", "--input", str(options.file))
    published = publish(engine, options.image, options.repository)
    write_outputs(options.output, digest=published.rpartition("@")[2])
    return published


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = parse_arguments(arguments)
    return run_command("image", lambda: run(options), NotBuildable, ParamsError, ContainerError)


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
