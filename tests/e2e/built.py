"""The image of this working tree, built once a run from a checkout of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .engine import Engine
from .processes import ROOT, missing, tool

MODELS = ("models/winner.json", "models/golden.jsonl", "models/reference.json")
NAME = "credit-pd:e2e"
IDENTITY = ("-c", "user.name=A tester", "-c", "user.email=tester@example.org")


class Silent(SimpleHTTPRequestHandler):
    """A folder over HTTP, without a log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Built:
    """An image, the checkout that it was built from, and how the project's commands reach it."""

    image: str
    checkout: Path
    environment: dict[str, str]
    index: str

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m release.image ...` in the checkout."""
        return run(self.checkout, self.environment, "-m", "release.image", *words)


ONCE: dict[str, Built] = {}
WHEELS: list[str] = []


def run(folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def build(engine: Engine, base_image: str, folder: Path) -> Built:
    """The image of this working tree on `base_image`; an engine builds it once."""
    key = engine.environment.get("DOCKER_HOST", "")
    ONCE[key] = ONCE.get(key) or make(engine, base_image, folder)
    return ONCE[key]


def make(engine: Engine, base_image: str, folder: Path) -> Built:
    """Build the image in a checkout of its own, with packages from a wheelhouse."""
    tool("uv")
    checkout = copy(folder / "checkout")
    environment = {**engine.environment, "BENTOML_HOME": str(folder / "bentoml")}
    environment |= on_path(engine, folder / "bin")
    with wheelhouse(folder / "wheels") as index:
        packages = {**environment, "UV_FIND_LINKS": index, "UV_NO_INDEX": "1"}
        built = Built(NAME, checkout, packages, index)
        bento = printed(built.command("build", "--base-image", base_image))
        printed(built.command("containerize", bento, "--image", NAME, "--network", "host"))
    return Built(NAME, checkout, environment, index)


def on_path(engine: Engine, folder: Path, build: str = "") -> dict[str, str]:
    """An environment where the engine's plain name on PATH means it with its options.

    BentoML calls the plain name, and a private podman is known by its options alone. `build` are
    options that its builds get beside their own.
    """
    name, command = Path(engine.command[0]).name, " ".join(engine.command)
    folder.mkdir()
    builds = f'[ "$1" = build ] && shift && exec {command} build {build} "$@"\n' if build else ""
    (folder / name).write_text(f'#!/bin/sh\n{builds}exec {command} "$@"\n')
    (folder / name).chmod(0o755)
    path = engine.environment.get("PATH", os.environ["PATH"])
    return {"CREDIT_PD_ENGINE": name, "PATH": f"{folder}:{path}"}


def printed(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that must succeed printed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def copy(folder: Path) -> Path:
    """This working tree as a repository of its own, committed, with the models of its dvc.lock."""
    listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(
        ["git", "-C", str(ROOT), *listed], capture_output=True, text=True, check=True
    ).stdout
    for name in names.split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "Everything")):
        subprocess.run(["git", *IDENTITY, *words], cwd=folder, check=True)
    cache = printed(run(ROOT, {}, "-m", "dvc", "cache", "dir"))
    (folder / ".dvc/config.local").write_text(f"[cache]\n    dir = {cache}\n")
    done = run(folder, {}, "-m", "dvc", "checkout", *MODELS)
    if done.returncode:
        missing(f"the model that dvc.lock names (run `make`; {done.stderr.strip()[-300:]})")
    return folder


@contextmanager
def wheelhouse(folder: Path) -> Iterator[str]:
    """The locked packages as this host's pip gets them, on the loopback interface; its URL.

    They are downloaded once a run, into the first folder that is given.
    """
    if not WHEELS:
        lock = str(ROOT / "requirements/service.txt")
        options = ("--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:")
        command = (sys.executable, "-m", "pip", "download", *options, "-r", lock, "-d", str(folder))
        subprocess.run(command, check=True, capture_output=True)
        WHEELS.append(str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=WHEELS[0]))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
