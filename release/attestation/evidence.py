"""Read the judgement and the image of a release; refuse them unless they belong together."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from release.image.container_engine import ContainerEngine, ContainerError
from service.decision import hashes

BENTO = "/home/bentoml/bento/src"
COMMIT = "org.opencontainers.image.revision"


class Unproven(Exception):
    """The parts of a release do not belong together; the message says which and why."""


@dataclass(frozen=True)
class PassedJudgement:
    """A judgement that passed: the SHA-256 of its file, and of each model file that was judged."""

    sha256: str
    base: str | None
    head: str
    models: dict[str, str]


def read_judgement(path: Path, expected: str | None) -> PassedJudgement:
    """Return a judgement that passed; its file must have the SHA-256 `expected`, if one is given.

    The expected digest comes from the job that judged; the file has passed through other jobs.
    """
    content = path.read_bytes()
    digest = sha256(content).hexdigest()
    if expected is not None and digest != expected:
        raise Unproven(f"{path} must be the judgement {expected}; it is {digest}")
    try:
        stated: dict[str, Any] = json.loads(content)
        verdict, head, base, models = (stated[key] for key in ("verdict", "head", "base", "models"))
    except (ValueError, KeyError, TypeError):
        raise Unproven(f"{path} must be what `release.gate --json` writes") from None
    if verdict != "pass":
        raise Unproven(f"only what passed is signed; the verdict in {path} is {verdict!r}")
    return PassedJudgement(digest, base, head, dict(models))


def read_files(engine: ContainerEngine, image: str, paths: tuple[str, ...]) -> dict[str, bytes]:
    """Return files and folders of the service in an image, which is not started for it."""
    container = engine.run("create", image)
    try:
        return {name: held for path in paths for name, held in copy(engine, container, path)}
    finally:
        engine.run("rm", "--force", container, check=False)


def copy(engine: ContainerEngine, container: str, path: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a container at a path, by their names below the service's folder."""
    command = [*engine.words, "cp", f"{container}:{BENTO}/{path}", "-"]
    copied = subprocess.run(command, capture_output=True, check=False)
    if copied.returncode:
        raise ContainerError(f"the image has no {path}: {copied.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(copied.stdout)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file:
                yield str(PurePosixPath(path).parent / member.name), file.read()


def hash_models(
    engine: ContainerEngine, image: str, judged: PassedJudgement, contents: dict[str, bytes]
) -> dict[str, str]:
    """Return the SHA-256 of each model file among the contents of the image.

    Raises Unproven unless the image is of the judged commit, and holds the judged models and no
    others, with a manifest that states them.
    """
    labels = engine.inspect(image)["Config"]["Labels"] or {}
    if labels.get(COMMIT) != judged.head:
        raise Unproven(
            f"the judgement is of commit {judged.head}; {image} is of {labels.get(COMMIT)}"
        )
    models = {name: held for name, held in contents.items() if name.startswith("models/")}
    digests = {name: sha256(content).hexdigest() for name, content in models.items()}
    manifest = str(hashes.MANIFEST)
    packed = {name: digest for name, digest in digests.items() if name != manifest}
    for name in sorted(packed.keys() | judged.models.keys()):
        if packed.get(name) != judged.models.get(name):
            raise Unproven(
                f"{name} was judged as {judged.models.get(name, 'absent')}; {image} has "
                f"{packed.get(name, 'none')}"
            )
    if hashes.stated_by_manifest(contents.get(manifest, b"")) != packed:
        raise Unproven(f"{manifest} in {image} must state the model files beside it")
    return digests
