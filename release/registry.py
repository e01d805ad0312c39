"""Which version of the model is in production, and which was: GTO's tags in the git history.

    python -m release.registry promote VERSION|next [--commit REV] [--image DIGEST] [--push]
    python -m release.registry rollback [--image DIGEST] [--push]
    python -m release.registry show
    python -m release.registry live [--on DATE] [--output FILE]

`credit-pd@v1.2.0` names a commit, `credit-pd#prod#7` makes its version the live one from the tag's
time on; the message of that tag holds the digest of the image. A date is a whole day in UTC unless
it has a time. A roll-back, like that of a host, undoes the last change: twice is where it began.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import gto.api
from gto.base import Artifact, Assignment, Unassignment
from gto.exceptions import GTOException
from gto.registry import GitRegistry

from release.steps import ended, hand_on
from stages import project

ARTIFACT = "credit-pd"
STAGE = "prod"
NOTHING = "0" * 40  # git's and GitHub's name for no commit
IMAGE = re.compile(r"^Image: (sha256:[0-9a-f]{64})$", re.MULTILINE)


class Refused(Exception):
    """The registry cannot answer, or must not change; the message says why and what to do."""


@dataclass(frozen=True)
class Period:
    """A version's time in production; `until` is None while it is live, `image` may be unknown."""

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
        """Whether the version was live at some time from `start` to before `end`."""
        return self.since < end and (self.until is None or self.until > start)


def git(*words: str) -> str:
    """What a git command prints; `Refused` with its message where it fails."""
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def periods() -> list[Period]:
    """Every time in production, oldest first; `Refused` where the clone is not whole."""
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise Refused("this clone is shallow: `git fetch --unshallow --tags` (fetch-depth: 0)")
    return list(_periods(_changes()))


def _artifact() -> Artifact | None:
    """All that the tags of this clone say of the model; None where there is no tag yet."""
    with GitRegistry.from_url(".") as registry:
        found: Artifact | None = registry.get_artifacts().get(ARTIFACT)
    return found


def _versions() -> dict[str, str]:
    """Return the commit of every registered version."""
    known = _artifact()
    registered = known.get_versions() if known else []
    return {each.version: each.commit_hexsha for each in registered if each.is_registered}


def _changes() -> list[Assignment | Unassignment]:
    """What changed production, in order; tags of one second are ordered by their number."""
    known = _artifact()
    events = known.get_events() if known else []
    kinds = (Assignment, Unassignment)
    changes = [each for each in events if isinstance(each, kinds) and each.stage == STAGE]
    return sorted(changes, key=lambda each: (each.created_at, int(each.tag.rpartition("#")[2])))


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
    """Return the period of the version that is live now; None if there is none."""
    known = periods()
    return known[-1] if known and known[-1].until is None else None


def span(date: str) -> tuple[datetime, datetime]:
    """First and last moment that `date` means: a day, or the second of an ISO 8601 time."""
    try:
        start = datetime.fromisoformat(date)
    except ValueError:
        words = f"a date must look like 2025-03-31 or 2025-03-31T14:00:00+02:00; got {date!r}"
        raise Refused(words) from None
    whole = start.time() == time() and len(date) <= len("2025-03-31")
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    return start, start + (timedelta(days=1) if whole else timedelta(seconds=1))


def promote(version: str, commit: str, image: str) -> tuple[Period, list[str]]:
    """Make `version` the live one; returns its period and the tags that are new.

    `next` is the version of the commit or, where it has none, the one after the latest. A version
    that does not exist yet is registered for the commit.
    """
    held, tags = _versions(), []
    version = f"v{version}" if version[:1].isdigit() else version
    target = git("rev-parse", f"{commit or 'HEAD'}^{{commit}}")
    ours = next((name for name, its in held.items() if its == target), None)
    if version == "next" and ours:
        version = ours
    elif version == "next" or version not in held:
        wanted = None if version == "next" else version
        made = gto.api.register(".", ARTIFACT, target, version=wanted)
        version, tags = made.version, [made.tag]
    elif commit and held[version] != target:
        raise Refused(f"{version} is commit {held[version]}, not {target}")
    now = live()
    if now and now.version == version and image in ("", now.image):
        return now, tags
    return _assign(version, image, tags)


def rollback(image: str) -> tuple[Period, list[str]]:
    """Make the version live again that was so before, or that had `image`."""
    known, now = periods(), live()
    if now is None:
        raise Refused(f"no version is in {STAGE}: there is nothing to roll back")
    if image and image == now.image:
        return now, []
    earlier = [each for each in known if each.version != now.version]
    found = [each for each in earlier if image in ("", each.image)]
    if not found:
        what = f"with the image {image}" if image else f"other than {now.version}"
        raise Refused(f"no version {what} was ever in {STAGE}; see `show`")
    return _assign(found[-1].version, found[-1].image, [])


def _assign(version: str, image: str, tags: list[str]) -> tuple[Period, list[str]]:
    """Tag `version` as the live one; GTO needs `force` for one that was so before."""
    message = f"{ARTIFACT} {version} is live\n\nImage: {image or 'unknown'}"
    made = gto.api.assign(".", ARTIFACT, STAGE, version=version, message=message, force=True)
    return periods()[-1], [*tags, made.tag]


def push(tags: list[str]) -> None:
    """Push all tags or none; those that the remote refuses are removed here too."""
    if not tags:
        return
    try:
        git("push", "--quiet", "--atomic", "origin", *(f"refs/tags/{tag}" for tag in tags))
    except Refused:
        git("tag", "--delete", *tags)
        raise


def describe_periods(shown: list[Period], output: Path | None) -> str:
    """Describe the periods in words, and hand on the facts of the last one."""
    last = shown[-1] if shown else Period("", NOTHING, "", datetime.min, None)
    hand_on(output, version=last.version, commit=last.commit, image=last.image)
    return "\n".join(map(str, shown)) or f"no version is in {STAGE}"


def parse(words: list[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="release.registry", description="The live version.")
    parser.set_defaults(output=None, push=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    each = {name: verbs.add_parser(name) for name in ("promote", "rollback", "show", "live")}
    each["promote"].add_argument("version", help="v1.2.3, or `next`")
    each["promote"].add_argument("--commit", default="", help="of a new version; default HEAD")
    each["live"].add_argument("--on", metavar="DATE", help="a day (UTC) or a time (ISO 8601)")
    for name in ("promote", "rollback"):
        each[name].add_argument("--image", default="", help="[REPOSITORY@]sha256:...")
        each[name].add_argument("--push", action="store_true", help="push the tags to origin")
    for name in ("promote", "rollback", "live"):
        each[name].add_argument(
            "--output", type=project.resolve, help="append KEY=VALUE lines there"
        )
    return parser.parse_args(words)


def answer(given: argparse.Namespace) -> list[Period]:
    """Do what the command line asks; the periods to show."""
    if given.verb in ("promote", "rollback"):
        image = given.image.rpartition("@")[2]
        if image and not IMAGE.fullmatch(f"Image: {image}"):
            raise Refused(f"an image is sha256:<64 hexadecimal digits>; got {given.image!r}")
        changed, tags = (
            promote(given.version, given.commit, image)
            if given.verb == "promote"
            else rollback(image)
        )
        if given.push:
            push(tags)
        return [changed]
    if given.verb == "show":
        return periods()
    if given.on:
        start, end = span(given.on)
        return [each for each in periods() if each.overlaps(start, end)]
    now = live()
    return [now] if now else []


def main(words: list[str] | None = None) -> int:
    """Run the command line; 0 done, 1 refused."""
    given = parse(words)
    return ended(
        "refused", lambda: describe_periods(answer(given), given.output), Refused, GTOException
    )


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
