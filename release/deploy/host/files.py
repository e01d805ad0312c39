"""The state of a host: its releases, its history and a lock, in files written atomically."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from release.deploy.host import DeploymentRefused


class Busy(DeploymentRefused):
    """Another deployment is running."""


@dataclass(frozen=True)
class Release:
    """An image that went live: `identity` is what the service stated about itself."""

    colour: str
    image: str
    identity: dict[str, Any]
    since: str


def now() -> str:
    """Return the time in UTC, in ISO 8601 to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def replace_text(path: Path, text: str) -> None:
    """Replace the text of `path` durably and atomically, also in a power cut."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class DeploymentState:
    """The folder with `state.json` (live and previous), `history.jsonl` and the lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def releases(self) -> dict[str, Release | None]:
        """Return the releases `live` and `previous`, None for one that does not exist yet."""
        path = self.folder / "state.json"
        stored = json.loads(path.read_text()) if path.exists() else {}
        return {
            role: Release(**stored[role]) if stored.get(role) else None
            for role in ("live", "previous")
        }

    def key(self) -> str:
        """Return the host's API key for its services; it is created once and readable by root."""
        path = self.folder / "probe.key"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name("probe.key.new")
            temporary.touch(mode=0o600)
            temporary.write_text(secrets.token_urlsafe(32))
            temporary.replace(path)
        return path.read_text()

    def attestation(self, digest: str) -> Path:
        """Return the file that keeps the verified attestation of an image."""
        return self.folder / "attestations" / f"{digest.replace(':', '-')}.json"

    def promote(self, release: Release) -> None:
        """Record `release` as live; another image that was live becomes previous."""
        releases = self.releases()
        live, previous = releases["live"], releases["previous"]
        if live and live.image != release.image:
            previous = live
        roles = {"live": asdict(release), "previous": asdict(previous) if previous else None}
        replace_text(self.folder / "state.json", json.dumps(roles, indent=1) + "\n")

    def note(self, image: str, outcome: str, reason: str = "") -> None:
        """Append a line to the history; `outcome` is "live", "refused" or "rolled back"."""
        line = {"at": now(), "image": image, "outcome": outcome, "reason": reason}
        try:
            with (self.folder / "history.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:  # a full disk must not keep the host from saying what it did
            print(f"the history could not be written: {error}", file=sys.stderr)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the host for one deployment; raises Busy when another one is running."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy("another deployment is running on this host") from None
            yield
