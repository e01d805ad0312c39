"""The hashes of data and models, as DVC computes them, so that they equal those in dvc.lock."""

from __future__ import annotations

import json
from hashlib import md5
from pathlib import Path

CHUNK = 1 << 20


def hash_of(path: Path) -> str:
    """Return the MD5 hash of a file, or that of the list of a folder's files with suffix `.dir`."""
    if not path.is_dir():
        return hash_of_file(path)
    files = [p for p in path.rglob("*") if p.is_file()]
    listed = [{"md5": hash_of_file(p), "relpath": p.relative_to(path).as_posix()} for p in files]
    listed.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listed, sort_keys=True).encode()
    return f"{md5(text, usedforsecurity=False).hexdigest()}.dir"


def hash_of_file(path: Path) -> str:
    """Return the MD5 hash of a file."""
    digest = md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def hashes(root: Path, paths: list[Path]) -> list[dict[str, str]]:
    """Return the path and the hash of each file and folder that is there."""
    present = [path for path in paths if (root / path).exists()]
    return [{"path": str(path), "md5": hash_of(root / path)} for path in present]
