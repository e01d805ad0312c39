"""Change what is live: promote a version, roll back, and push the tags."""

from __future__ import annotations

import gto.api

from release.registry.periods import (
    ARTIFACT,
    STAGE,
    Period,
    RegistryError,
    git,
    live,
    periods,
    versions,
)


def promote(version: str, commit: str, image: str) -> tuple[Period, list[str]]:
    """Make `version` live, and return its period and the new tags.

    `next` means the version of the commit or, if it has none, the one after the latest version. A
    version that does not exist yet is registered for the commit.
    """
    commits, tags = versions(), []
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
        raise RegistryError(f"{version} is commit {commits[version]}, not {target}")
    now = live()
    if now and now.version == version and image in ("", now.image):
        return now, tags
    return _assign(version, image, tags)


def rollback(image: str) -> tuple[Period, list[str]]:
    """Make the previous version (or the last with `image`) live; return its period and new tags."""
    every, now = periods(), live()
    if now is None:
        raise RegistryError(f"no version is in {STAGE}: there is nothing to roll back")
    if image and image == now.image:
        return now, []
    earlier = [period for period in every if period.version != now.version]
    candidates = [period for period in earlier if image in ("", period.image)]
    if not candidates:
        what = f"with the image {image}" if image else f"other than {now.version}"
        raise RegistryError(f"no version {what} was ever in {STAGE}; see `show`")
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
    except RegistryError:
        git("tag", "--delete", *tags)
        raise
