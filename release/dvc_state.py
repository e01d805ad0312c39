"""What DVC knows: whether dvc.lock matches the workspace, and the objects that it names."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from botocore.exceptions import BotoCoreError, ClientError
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.flatten import flatten

from release.revisions import CannotJudge

UNREADABLE = (DvcException, BotoCoreError, ClientError, OSError)
MISSING = ("deleted", "not in cache")  # as `dvc status` calls what was not pulled
# What may be said, and what to do about it; the first that fits. S3 gives reasons to some requests,
# and 403 without words to others.
ADVICE = {
    "locate credentials|NoCredentials|[Pp]artial credentials": "no credentials: set "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or let the job assume its role",
    "SignatureDoesNotMatch|signature we calculated": "access denied: the secret is not that of the "
    "key; compare AWS_SECRET_ACCESS_KEY",
    "InvalidAccessKeyId|Access Key Id you provided": "access denied: the account has no such key; "
    "compare AWS_ACCESS_KEY_ID, and unset AWS_SESSION_TOKEN unless it belongs to it",
    "Expired|expired|InvalidToken": "access denied: the credentials have expired; assume the role "
    "again, or log in again",
    "RequestTimeTooSkewed": "access denied: the clock of this machine is wrong",
    "(AccessDenied|Access Denied|403).*(PutObject|Upload)": "access denied: these credentials may "
    "read and not write; a push needs s3:PutObject, as the role AWS_WRITE_ROLE has it",
    "Forbidden|Access ?Denied|PermissionError": "access denied: the credentials need s3:ListBucket "
    "and s3:GetObject, or the key or its secret is wrong",
    "NoSuchBucket|[Bb]ucket does not exist": "the bucket does not exist: compare the URL in "
    ".dvc/config with the account",
    "onnect|imed out|name resolution": "not reachable: check the network and AWS_ENDPOINT_URL",
}


class Change(NamedTuple):
    """A value by its dotted name, before and after; None where it is absent."""

    name: str
    before: Any
    after: Any


def changes(before: Any, after: Any) -> list[Change]:
    """The values that differ between two nested mappings, in order of first appearance."""
    old, new = (flatten(each) if isinstance(each, dict) else {} for each in (before, after))
    return [
        Change(str(name), old.get(name), new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


class Storage:
    """The DVC side of the current folder's repository; without `remote` the network stays idle."""

    def __init__(self, repo: Repo, *, remote: bool) -> None:
        self.repo, self.remote = repo, remote

    def made(self) -> list[str]:
        """Outputs of the stages of dvc.yaml; CannotJudge for a stage whose inputs are not seen."""
        with told("dvc.yaml"):
            stages = [s for s in self.repo.index.stages if not s.is_data_source]
        if frozen := [stage.addressing for stage in stages if stage.frozen]:
            raise CannotJudge(f"frozen stages hide what they depend on: {', '.join(frozen)}")
        return [str(out) for stage in stages for out in stage.outs]

    def changed(self) -> tuple[list[str], list[str]]:
        """What differs from dvc.lock, and what is not here to be compared, in words."""
        with told("dvc status"):
            status: dict[str, list[Any]] = self.repo.status()
        changes = [*_changes(status)]
        differs = [words for words, kind in changes if kind not in MISSING]
        return differs, [words for words, kind in changes if kind in MISSING]

    def named(self) -> dict[str, str]:
        """Every object that dvc.lock and the .dvc files name: hash → path."""
        found: dict[str, str] = {}
        for out in self.repo.index.outs:
            if not out.use_cache:
                continue
            if not out.hash_info:
                raise CannotJudge(f"{out} has no version in dvc.lock: run `dvc repro` and commit")
            found[out.hash_info.value] = str(out)
            if out.hash_info.isdir:
                listing = json.loads(self.read(out.hash_info.value, str(out)))
                found |= {entry["md5"]: f"{out}/{entry['relpath']}" for entry in listing}
        return found

    def not_pushed(self) -> list[str]:
        """Paths whose object the remote does not hold; asks the remote, not DVC's index of it."""
        with told("the remote"):
            named, odb = self.named(), self._remote()
            there = set(odb.oids_exist([*named]))
        return sorted(path for oid, path in named.items() if oid not in there)

    def read(self, oid: str, name: str) -> bytes:
        """An object from the cache, else the remote; CannotJudge unless it is whole."""
        places = [self.repo.cache.local]
        with told(f"{name} in the remote"):
            for odb in [*places, *([self._remote()] if self.remote else [])]:
                try:
                    content: bytes = odb.fs.cat_file(odb.oid_to_path(oid))
                except FileNotFoundError:
                    continue
                if hashlib.md5(content, usedforsecurity=False).hexdigest() == oid[:32]:
                    return content
        where = "the cache and the remote" if self.remote else "the cache"
        raise CannotJudge(f"{name} ({oid}) is missing or damaged in {where}")

    def is_damaged(self, oid: str) -> bool:
        """Tell whether the cache has an object whose bytes are not those of its name."""
        path = self._cached(oid)
        return path.is_file() and not is_whole(path, oid)

    def restore(self, oid: str) -> bool:
        """Fetch an object of the cache anew; False where the remote has it not whole either."""
        path, remote = self._cached(oid), self._remote()
        fetched = path.with_name(f".{path.name}.tmp")
        try:
            remote.fs.get_file(remote.oid_to_path(oid), str(fetched))
            if whole := is_whole(fetched, oid):
                fetched.chmod(0o444)  # as DVC protects its objects
                fetched.replace(path)
            return whole
        except FileNotFoundError:
            return False
        finally:
            fetched.unlink(missing_ok=True)

    def _cached(self, oid: str) -> Path:
        return Path(self.repo.cache.local.oid_to_path(oid))

    def _remote(self) -> Any:
        return self.repo.cloud.get_remote_odb(None, "status")


def is_whole(path: Path, oid: str) -> bool:
    """Tell whether a file has the MD5 that an object's name states."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == oid[:32]


@contextmanager
def storage(*, remote: bool) -> Iterator[Storage]:
    """The DVC repository in the current folder; CannotJudge where there is none.

    Every file is hashed anew: what DVC remembers of files may be what a poisoned cache told it.
    """
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as memory:
        with told("the DVC repository"):
            repo = Repo(".", config={"core": {"site_cache_dir": memory}})
        try:
            yield Storage(repo, remote=remote)
        finally:
            repo.close()


def _changes(status: dict[str, list[Any]]) -> Iterator[tuple[str, str]]:
    """Each change of `dvc status` in words, with its kind."""
    for stage, entries in status.items():
        for entry in entries:
            if isinstance(entry, str):
                yield f"{stage}: {entry}", entry
                continue
            for path, state in (pair for found in entry.values() for pair in found.items()):
                inner = state if isinstance(state, dict) else {"": state}
                for key, kind in inner.items():
                    yield f"{stage}: {path}{':' if key else ''}{key} {kind}", kind


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn the errors of DVC, S3 and files into CannotJudge with words that say what to do."""
    try:
        yield
    except UNREADABLE as error:
        said = _text(error)
        raise CannotJudge(f"cannot read {what}: {advised(said)} ({said})") from error


def advised(error: str) -> str:
    """What to do about an error of the remote, by what S3, its client or DVC said."""
    fitting = (words for said, words in ADVICE.items() if re.search(said, error))
    return next(fitting, "see the message")


def _text(error: BaseException) -> str:
    """An error and its cause on one line."""
    cause = f": {error.__cause__}" if error.__cause__ else ""
    return " ".join(f"{type(error).__name__}: {error}{cause}".split())


def version(lock: str, path: str) -> tuple[str, int] | None:
    """Hash and bytes of an output as a dvc.lock names it, or None."""
    try:
        stages = yaml.safe_load(lock)["stages"].values()
        outs = [out for stage in stages for out in stage.get("outs", [])]
        return next(((out["md5"], out["size"]) for out in outs if out["path"] == path), None)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise CannotJudge(f"this is no dvc.lock: {_text(error)}") from error


def here(path: Path) -> str:
    """A text file of the working tree; CannotJudge where it is missing."""
    if not path.is_file():
        raise CannotJudge(f"{path} is missing: run `dvc repro`, or `dvc pull` and `git checkout`")
    return path.read_text()
