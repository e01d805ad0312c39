"""Read the settings of a host, a file of KEY=VALUE lines that systemd and HAProxy also read.

A setting that came later has a default, so that a host with an older file goes on.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from release.deploy.host import DeploymentRefused

PREFIX = "CREDIT_PD_"
CONVERT = {"str": str, "int": int, "float": float, "Path": Path}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
COLOURS = ("blue", "green")


@dataclass(frozen=True)
class HostSettings:
    """The keys of `host.env` without their prefix; addresses are HOST:PORT."""

    repository: str
    engine: str
    name: str
    blue: str
    green: str
    front: str
    public: str
    tls: Path
    socket: Path
    state: Path
    ledger: Path
    service_env: Path
    memory: str
    pids: int
    pull_seconds: float
    ready_seconds: float
    watch_seconds: float
    drain_seconds: float
    max_errors: int
    max_error_share: float
    release_key: Path = Path("/etc/credit-pd/release.pub")
    canary_shares: str = "5,25"
    canary_seconds: float = 120
    canary_margin_failures: float = 0.005
    canary_margin_refusals: float = 0.05
    canary_margin_slow: float = 0.05
    canary_margin_decisions: float = 0.15

    @classmethod
    def read(cls, path: Path) -> HostSettings:
        """Read `path`.

        Raises DeploymentRefused naming a key that is unknown, missing, empty or malformed.
        """
        texts = pairs(path)
        for key, value in texts.items():
            if not value:
                raise DeploymentRefused(f"{path}: {key} needs a value")
        keys = {PREFIX + field.name.upper(): field for field in fields(cls)}
        needed = {key for key, field in keys.items() if field.default is MISSING}
        for key in sorted((texts.keys() - keys.keys()) | (needed - texts.keys())):
            fault = "is missing" if key in keys else "is unknown"
            raise DeploymentRefused(f"{path}: {key} {fault}; the keys are {', '.join(keys)}")
        values = {}
        for key, field in keys.items():
            if key not in texts:
                continue
            try:
                values[field.name] = CONVERT[str(field.type)](texts[key])
            except ValueError:
                raise DeploymentRefused(
                    f"{path}: {key} must be {field.type}; got {texts[key]!r}"
                ) from None
        return cls(**values)

    def address(self, colour: str) -> str:
        """Return HOST:PORT at which the container of `colour` is published."""
        return {"blue": self.blue, "green": self.green}[colour]

    def reference(self, image: str) -> str:
        """Return REPOSITORY@DIGEST of `image`, which is a digest, bare or with this repository."""
        repository, _, digest = image.rpartition("@")
        if not DIGEST.fullmatch(digest):
            raise DeploymentRefused(
                f"image must be pinned as sha256:<64 hexadecimal digits>; got {image!r}"
            )
        if repository not in ("", self.repository):
            raise DeploymentRefused(
                f"images of this host come from {self.repository}; got {image!r}"
            )
        return f"{self.repository}@{digest}"


def pairs(path: Path) -> dict[str, str]:
    """Return the KEY=VALUE lines of a file; raises DeploymentRefused when it cannot be read."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except OSError as error:
        raise DeploymentRefused(f"cannot read the settings: {error}") from None
    return dict(line.partition("=")[::2] for line in lines if line and line[0] != "#")
