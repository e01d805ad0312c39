"""Read the registry: which version was live in which period, by the tags in git."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

from gto.base import Artifact, Assignment, Unassignment
from gto.registry import GitRegistry

ARTIFACT = "credit-pd"
STAGE = "prod"
IMAGE = re.compile(r"^Image: (sha256:[0-9a-f]{64})$", re.MULTILINE)


class RegistryError(Exception):
    """The registry cannot be read or changed; the message says why and what to do."""


@dataclass(frozen=True)
class Period:
    """A period of a version in production; `until` is None while it is live.

    `image` is the digest of its image, "" if unknown.
    """

    version: str
    commit: str
    image: str
    since: datetime
    until: datetime | None

    def __str__(self) -> str:
        until = f"{self.until:%Y-%m-%d %H:%M:%S}" if self.until else "now".ljust(19)
        since = f"{self.since:%Y-%m-%d %H:%M:%S}"
        return f"{since} - {until}  {self.version}  {self.commit[:12]}  {self.image or '-'}"

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Tell whether the version was live at some time from `start` to before `end`."""
        return self.since < end and (self.until is None or self.until > start)


def git(*arguments: str) -> str:
    """Return what a git command prints; raises RegistryError with its message when it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RegistryError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def periods() -> list[Period]:
    """Return all periods in production, oldest first; raises RegistryError in a shallow clone."""
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise RegistryError(
            "this clone is shallow: `git fetch --unshallow --tags` (fetch-depth: 0)"
        )
    return list(_periods(_changes()))


def _artifact() -> Artifact | None:
    """Return the model as the tags of this clone describe it, None when there is no tag yet."""
    with GitRegistry.from_url(".") as registry:
        artifact: Artifact | None = registry.get_artifacts().get(ARTIFACT)
    return artifact


def versions() -> dict[str, str]:
    """Return the commit of every registered version."""
    artifact = _artifact()
    versions = artifact.get_versions() if artifact else []
    return {v.version: v.commit_hexsha for v in versions if v.is_registered}


def _changes() -> list[Assignment | Unassignment]:
    """Return the changes of production in order of time and, within one second, of their number."""
    artifact = _artifact()
    events = artifact.get_events() if artifact else []
    types = (Assignment, Unassignment)
    changes = [event for event in events if isinstance(event, types) and event.stage == STAGE]
    return sorted(changes, key=lambda event: (event.created_at, int(event.tag.rpartition("#")[2])))


def _periods(changes: list[Assignment | Unassignment]) -> Iterator[Period]:
    for change, following in pairwise([*changes, None]):
        if isinstance(change, Assignment):
            image = IMAGE.search(change.message)
            yield Period(
                version=change.version,
                commit=change.commit_hexsha,
                image=image[1] if image else "",
                since=change.created_at.astimezone(UTC),
                until=following.created_at.astimezone(UTC) if following else None,
            )


def live() -> Period | None:
    """Return the period of the version that is live now, None if there is none."""
    every = periods()
    return every[-1] if every and every[-1].until is None else None


def span(date: str) -> tuple[datetime, datetime]:
    """Return the start and the end of a date (a day in UTC) or of an ISO 8601 time (a second)."""
    try:
        start = datetime.fromisoformat(date)
    except ValueError:
        message = f"a date must look like 2025-03-31 or 2025-03-31T14:00:00+02:00; got {date!r}"
        raise RegistryError(message) from None
    is_day = start.time() == time() and len(date) <= len("2025-03-31")
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    return start, start + (timedelta(days=1) if is_day else timedelta(seconds=1))
