"""What answered: the identities of model, policy, data, code and image."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path

from service import settings
from stages.judging.policy import Policy

Identity = dict[str, str | None]
SHORT = 16  # hexadecimal digits: 64 bits


def of(root: Path, model: bytes, policy: Policy) -> Identity:
    """The identities of a model file's bytes, a policy, and what stands in the folder `root`.

    `data` is that of dvc.lock, which names the bytes of every input and output of the pipeline;
    an identity that is not known here is None.
    """
    lock, configured = root / "dvc.lock", settings.load()
    return {
        "model": short(model),
        "policy": short(json.dumps(policy.model_dump(), sort_keys=True).encode()),
        "data": short(lock.read_bytes()) if lock.exists() else None,
        "image": configured.image,
        "git_commit": configured.git_commit or commit(root),
    }


def short(content: bytes) -> str:
    """The beginning of the SHA-256 of a content."""
    return sha256(content).hexdigest()[:SHORT]


def commit(root: Path) -> str | None:
    """The commit that a checkout stands at; None where there is none, or no git."""
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
