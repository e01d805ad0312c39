"""Record which version of the model is in production, and when, by GTO's tags in git.

    python -m release.registry promote VERSION|next [--commit REV] [--image DIGEST] [--push]
    python -m release.registry rollback [--image DIGEST] [--push]
    python -m release.registry show
    python -m release.registry live [--on DATE] [--output FILE]

The tag `credit-pd@v1.2.0` names a commit as that version. The tag `credit-pd#prod#7` makes a
version live from the tag's time on; its message states the digest of the image. A date means a
whole day in UTC unless it has a time. A roll-back undoes the last change, a second one the first.
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

from release.steps import run_command, write_outputs
from stages import project

ARTIFACT = "credit-pd"
STAGE = "prod"
NOTHING = "0" * 40  # git's and GitHub's name for no commit
IMAGE = re.compile(r"^Image: (sha256:[0-9a-f]{64})$", re.MULTILINE)


class Refused(Exception):
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
    """Return what a git command prints; raises Refused with its message when it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def periods() -> list[Period]:
    """Return all periods in production, oldest first; raises Refused in a shallow clone."""
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise Refused("this clone is shallow: `git fetch --unshallow --tags` (fetch-depth: 0)")
    return list(_periods(_changes()))


def _artifact() -> Artifact | None:
    """Return the model as the tags of this clone describe it, None when there is no tag yet."""
    with GitRegistry.from_url(".") as registry:
        artifact: Artifact | None = registry.get_artifacts().get(ARTIFACT)
    return artifact


def _versions() -> dict[str, str]:
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
        raise Refused(message) from None
    is_day = start.time() == time() and len(date) <= len("2025-03-31")
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    return start, start + (timedelta(days=1) if is_day else timedelta(seconds=1))


def promote(version: str, commit: str, image: str) -> tuple[Period, list[str]]:
    """Make `version` live, and return its period and the new tags.

    `next` means the version of the commit or, if it has none, the one after the latest version. A
    version that does not exist yet is registered for the commit.
    """
    commits, tags = _versions(), []
    version = f"v{version}" if version[:1].isdigit() else version
    target = git("rev-parse", f"{commit or 'HEAD'}^{{commit}}")
    present = next((name for name, sha in commits.items() if sha == target), None)
    if version == "next" and present:
        version = present
    elif version == "next" or version not in commits:
        wanted = None if version == "next" else version
        made = gto.api.register(".", ARTIFACT, target, version=wanted)
        version, tags = made.version, [made.tag]
    elif commit and commits[version] != target:
        raise Refused(f"{version} is commit {commits[version]}, not {target}")
    now = live()
    if now and now.version == version and image in ("", now.image):
        return now, tags
    return _assign(version, image, tags)


def rollback(image: str) -> tuple[Period, list[str]]:
    """Make the previous version (or the last with `image`) live; return its period and new tags."""
    every, now = periods(), live()
    if now is None:
        raise Refused(f"no version is in {STAGE}: there is nothing to roll back")
    if image and image == now.image:
        return now, []
    earlier = [period for period in every if period.version != now.version]
    candidates = [period for period in earlier if image in ("", period.image)]
    if not candidates:
        what = f"with the image {image}" if image else f"other than {now.version}"
        raise Refused(f"no version {what} was ever in {STAGE}; see `show`")
    return _assign(candidates[-1].version, candidates[-1].image, [])


def _assign(version: str, image: str, tags: list[str]) -> tuple[Period, list[str]]:
    """Tag `version` as the live one; GTO needs `force` for a version that was live before."""
    message = f"{ARTIFACT} {version} is live\n\nImage: {image or 'unknown'}"
    made = gto.api.assign(".", ARTIFACT, STAGE, version=version, message=message, force=True)
    return periods()[-1], [*tags, made.tag]


def push(tags: list[str]) -> None:
    """Push all tags or none; when the remote refuses them, they are deleted here as well."""
    if not tags:
        return
    try:
        git("push", "--quiet", "--atomic", "origin", *(f"refs/tags/{tag}" for tag in tags))
    except Refused:
        git("tag", "--delete", *tags)
        raise


def describe_periods(shown: list[Period], output: Path | None) -> str:
    """Return the periods as lines of text, and write the facts of the last one to `output`."""
    last = shown[-1] if shown else Period("", NOTHING, "", datetime.min, None)
    write_outputs(output, version=last.version, commit=last.commit, image=last.image)
    return "\n".join(map(str, shown)) or f"no version is in {STAGE}"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="release.registry", description="The live version.")
    parser.set_defaults(output=None, push=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    parsers = {name: verbs.add_parser(name) for name in ("promote", "rollback", "show", "live")}
    parsers["promote"].add_argument("version", help="v1.2.3, or `next`")
    parsers["promote"].add_argument("--commit", default="", help="of a new version; default HEAD")
    parsers["live"].add_argument("--on", metavar="DATE", help="a day (UTC) or a time (ISO 8601)")
    for name in ("promote", "rollback"):
        parsers[name].add_argument("--image", default="", help="[REPOSITORY@]sha256:...")
        parsers[name].add_argument("--push", action="store_true", help="push the tags to origin")
    for name in ("promote", "rollback", "live"):
        parsers[name].add_argument("--output", type=project.resolve, help="append KEY=VALUE there")
    return parser.parse_args(arguments)


def run_verb(options: argparse.Namespace) -> list[Period]:
    """Run promote, rollback, show or live, and return the periods to show."""
    if options.verb in ("promote", "rollback"):
        image = options.image.rpartition("@")[2]
        if image and not IMAGE.fullmatch(f"Image: {image}"):
            raise Refused(f"an image is sha256:<64 hexadecimal digits>; got {options.image!r}")
        if options.verb == "promote":
            changed, tags = promote(options.version, options.commit, image)
        else:
            changed, tags = rollback(image)
        if options.push:
            push(tags)
        return [changed]
    if options.verb == "show":
        return periods()
    if options.on:
        start, end = span(options.on)
        return [period for period in periods() if period.overlaps(start, end)]
    now = live()
    return [now] if now else []


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 refused."""
    options = parse_arguments(arguments)

    def show() -> str:
        return describe_periods(run_verb(options), options.output)

    return run_command("refused", show, Refused, GTOException)


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
