"""Settings of one host: a file of KEY=VALUE lines that systemd and HAProxy read as well."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path

from release.deploy.host import Refused

PREFIX = "CREDIT_PD_"
CONVERT = {"str": str, "int": int, "float": float, "Path": Path}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
COLOURS = ("blue", "green")


@dataclass(frozen=True)
class Settings:
    """Every key of `host.env`, without its prefix; seconds are `float`, addresses `host:port`."""

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

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Read `path`; `Refused` names the key that is unknown, missing, empty or malformed."""
        given = pairs(path)
        for key, value in given.items():
            if not value:
                raise Refused(f"{path}: {key} needs a value")
        kinds = {PREFIX + field.name.upper(): field for field in fields(cls)}
        for key in sorted(given.keys() ^ kinds.keys()):
            fault = "is missing" if key in kinds else "is unknown"
            raise Refused(f"{path}: {key} {fault}; the keys are {', '.join(kinds)}")
        values = {}
        for key, field in kinds.items():
            try:
                values[field.name] = CONVERT[str(field.type)](given[key])
            except ValueError:
                raise Refused(f"{path}: {key} must be {field.type}; got {given[key]!r}") from None
        return cls(**values)

    def address(self, colour: str) -> str:
        """`host:port` where the container of `colour` is published."""
        return {"blue": self.blue, "green": self.green}[colour]

    def reference(self, image: str) -> str:
        """Full reference of `image`, which must be a digest, bare or of this host's repository."""
        repository, _, digest = image.rpartition("@")
        if not DIGEST.fullmatch(digest):
            raise Refused(f"image must be pinned as sha256:<64 hexadecimal digits>; got {image!r}")
        if repository not in ("", self.repository):
            raise Refused(f"images of this host come from {self.repository}; got {image!r}")
        return f"{self.repository}@{digest}"


def pairs(path: Path) -> dict[str, str]:
    """KEY=VALUE lines of a file; `Refused` when it cannot be read."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except OSError as error:
        raise Refused(f"cannot read the settings: {error}") from None
    return dict(line.partition("=")[::2] for line in lines if line and line[0] != "#")
