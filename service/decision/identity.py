"""Tell which model, policy, data, code and image decide."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import yaml

from service import settings
from stages.policy.decisions import Policy

Identity = dict[str, str | None]
DIGITS = 16  # hexadecimal digits: 64 bits
DATA = ("raw", "prepared")  # folders of a dataset


def of(root: Path, model: bytes, policy: Policy) -> Identity:
    """Return the identities of a model file's bytes, of a policy, and of the folder `root`.

    `policy` is the digest of the policy as the ledger keeps it, `data` that of the raw and the
    prepared files. An identity that cannot be known here is None.
    """
    configured = settings.load()
    return {
        "model": digest(model),
        "policy": digest(policy_text(policy).encode()),
        "data": data_hash(root / "dvc.lock"),
        "image": configured.image,
        "git_commit": configured.git_commit or commit(root),
    }


def policy_text(policy: Policy) -> str:
    """Return the policy in full, as the ledger keeps it: equal policies give equal text."""
    return json.dumps(policy.in_full, sort_keys=True)


def data_hash(lock: Path) -> str | None:
    """Return the digest of the data that a dvc.lock names; None where it is absent or damaged.

    Only the hashes of the raw and the prepared files count: another policy, model or wording of the
    contract leaves the data as it is.
    """
    try:
        stages = yaml.load(lock.read_text(), yaml.CSafeLoader)["stages"].values()
        files = {
            file["path"]: file["md5"]
            for stage in stages
            for file in (*stage.get("deps", ()), *stage.get("outs", ()))
            if Path(file["path"]).name in DATA
        }
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None
    return digest(json.dumps(files, sort_keys=True).encode()) if files else None


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
