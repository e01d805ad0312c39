"""Hold the bytes of the model's files against the hashes that the release states.

In an image these are the SHA-256 of `models/manifest.json`, which the build writes from files that
it held against dvc.lock. A checkout has no manifest: there dvc.lock itself states them, as MD5.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import yaml

WINNER = Path("models/winner.json")
GOLDEN = Path("models/golden.jsonl")
REFERENCE = Path("models/reference.json")
FILES = (WINNER, GOLDEN, Path("models/evaluation.json"), REFERENCE)
MANIFEST = Path("models/manifest.json")
LOCK = Path("dvc.lock")


class NotReady(Exception):
    """The service cannot decide; the message says why and what to do."""


def manifest(contents: dict[Path, bytes]) -> str:
    """Return the content of the manifest of these files."""
    digests = {str(path): hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    return json.dumps({"sha256": digests}, indent=2) + "\n"


def read_verified(root: Path) -> dict[Path, bytes]:
    """Return the content of each of FILES that is in the folder `root`.

    Raises NotReady where one is not the file that the manifest states, or else dvc.lock; a folder
    with neither states nothing.
    """
    contents = {path: read(root, path) for path in FILES if (root / path).is_file()}
    if (root / MANIFEST).exists():
        stated, by = stated_by_manifest(read(root, MANIFEST)), MANIFEST
        if absent := [str(path) for path in FILES if path not in contents]:
            raise NotReady(f"{', '.join(absent)} is missing; deploy the image anew")
        advice = "the image was altered or its disk is damaged: deploy the image anew"
    elif (root / LOCK).exists():
        stated, by = stated_by_lock(read(root, LOCK)), LOCK
        advice = "run `dvc repro`, or restore the file by `dvc checkout`"
    else:
        return contents
    algorithm = "sha256" if by == MANIFEST else "md5"
    for path, content in contents.items():
        digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
        if stated.get(str(path)) != digest:
            raise NotReady(f"{path} is not the file that {by} states; {advice}")
    return contents


def read(root: Path, path: Path) -> bytes:
    """Return the bytes of a file in the folder `root`; NotReady where the disk gives none."""
    try:
        return (root / path).read_bytes()
    except OSError as error:
        raise NotReady(f"{path} cannot be read ({error.strerror})") from error


def stated_by_manifest(content: bytes) -> dict[str, str]:
    """Return the SHA-256 of each path that a manifest states; NotReady where it is damaged."""
    try:
        return dict(json.loads(content)["sha256"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotReady(f"{MANIFEST} cannot be read; deploy the image anew") from error


def stated_by_lock(content: bytes) -> dict[str, str]:
    """Return the MD5 of each output that a dvc.lock states; NotReady where it is damaged."""
    try:
        stages = yaml.load(content, yaml.CSafeLoader)["stages"].values()
        return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", [])}
    except (yaml.YAMLError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise NotReady(f"{LOCK} cannot be read; restore it by `git checkout {LOCK}`") from error
