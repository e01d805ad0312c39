"""Tell which model, policy, data, code and image decide."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path

from service import settings
from stages.policy import Policy

Identity = dict[str, str | None]
DIGITS = 16  # hexadecimal digits: 64 bits


def of(root: Path, model: bytes, policy: Policy) -> Identity:
    """Return the identities of a model file's bytes, of a policy, and of the folder `root`.

    `data` is the digest of dvc.lock, which names the bytes of every input and output of the
    pipeline. An identity that cannot be known here is None.
    """
    lock, configured = root / "dvc.lock", settings.load()
    return {
        "model": digest(model),
        "policy": digest(json.dumps(policy.model_dump(), sort_keys=True).encode()),
        "data": digest(lock.read_bytes()) if lock.exists() else None,
        "image": configured.image,
        "git_commit": configured.git_commit or commit(root),
    }


def digest(content: bytes) -> str:
    """Return the first digits of the SHA-256 of a content."""
    return sha256(content).hexdigest()[:DIGITS]


def commit(root: Path) -> str | None:
    """Return the commit that is checked out in `root`; None without a checkout or without git."""
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
