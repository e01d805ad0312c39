"""Ask DVC whether dvc.lock matches the workspace, and whether the remote holds its objects."""

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
MISSING = ("deleted", "not in cache")  # states in `dvc status` of files that were not pulled
# Patterns of error messages, and what to do about them; the first that matches applies. S3 states a
# reason for some refused requests and only the status 403 for others.
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


class ValueChange(NamedTuple):
    """A value by its dotted name, before and after; None where it is absent."""

    name: str
    before: object
    after: object


def changes(before: object, after: object) -> list[ValueChange]:
    """Return the values that differ between two nested mappings, in order of first appearance.

    Raises CannotJudge where two values have the same dotted name.
    """
    try:
        old, new = (flatten(tree) if isinstance(tree, dict) else {} for tree in (before, after))
    except ValueError as error:
        raise CannotJudge(f"a key with a dot is the name of another one: {error}") from None
    return [
        ValueChange(str(name), old.get(name), new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


class Storage:
    """The DVC repository in the current folder; its remote is used only if `remote` is true."""

    def __init__(self, repo: Repo, *, remote: bool) -> None:
        self.repo, self.remote = repo, remote

    def outputs(self) -> list[str]:
        """Return the outputs of the stages of dvc.yaml; raises CannotJudge for a frozen stage."""
        with explain_errors("dvc.yaml"):
            stages = [s for s in self.repo.index.stages if not s.is_data_source]
        if frozen := [stage.addressing for stage in stages if stage.frozen]:
            raise CannotJudge(f"frozen stages hide their dependencies: {', '.join(frozen)}")
        return [str(out) for stage in stages for out in stage.outs]

    def differences(self) -> tuple[list[str], list[str]]:
        """Return descriptions of what differs from dvc.lock, and of the files that are missing."""
        with explain_errors("dvc status"):
            status: dict[str, list[Any]] = self.repo.status()
        changes = [*_changes(status)]
        differing = [words for words, state in changes if state not in MISSING]
        return differing, [words for words, state in changes if state in MISSING]

    def objects(self) -> dict[str, str]:
        """Return the path of every object that dvc.lock and the .dvc files name, by its hash."""
        paths: dict[str, str] = {}
        for out in self.repo.index.outs:
            if not out.use_cache:
                continue
            if not out.hash_info:
                raise CannotJudge(f"{out} has no version in dvc.lock: run `dvc repro` and commit")
            paths[out.hash_info.value] = str(out)
            if out.hash_info.isdir:
                members = self._members(out.hash_info.value, str(out))
                paths |= {oid: f"{out}/{name}" for name, oid in members}
        return paths

    def not_pushed(self) -> list[str]:
        """Return the paths whose object is not in the remote itself, whatever DVC's index says."""
        with explain_errors("the remote"):
            paths, odb = self.objects(), self._remote()
            present = set(odb.oids_exist([*paths]))
        return sorted(path for oid, path in paths.items() if oid not in present)

    def read(self, oid: str, name: str) -> bytes:
        """Return an object from the cache or, if it is not there, from the remote.

        Raises CannotJudge when neither has it with the bytes that its hash promises.
        """
        cache = self.repo.cache.local
        with explain_errors(f"{name} in the remote"):
            for odb in [cache, *([self._remote()] if self.remote else [])]:
                try:
                    content: bytes = odb.fs.cat_file(odb.oid_to_path(oid))
                except FileNotFoundError:
                    continue
                if hashlib.md5(content, usedforsecurity=False).hexdigest() == oid[:32]:
                    return content
        where = "the cache and the remote" if self.remote else "the cache"
        raise CannotJudge(f"{name} ({oid}) is missing or damaged in {where}")

    def read_member(self, oid: str, folder: str, member: str) -> bytes:
        """Return a file of a folder that is one output; raises CannotJudge as `read` does."""
        held = dict(self._members(oid, folder)).get(member)
        if held is None:
            raise CannotJudge(f"{folder} ({oid}) has no {member}")
        return self.read(held, f"{folder}/{member}")

    def _members(self, oid: str, folder: str) -> list[tuple[str, str]]:
        """Return the path in a folder, and the hash, of each of its files."""
        listing = json.loads(self.read(oid, folder))
        return [(entry["relpath"], entry["md5"]) for entry in listing]

    def is_damaged(self, oid: str) -> bool:
        """Tell whether the cache has an object whose bytes are not those of its name."""
        path = self._cache_path(oid)
        return path.is_file() and not is_whole(path, oid)

    def restore(self, oid: str) -> bool:
        """Fetch an object again from the remote; False when it is missing or damaged there too."""
        path, remote = self._cache_path(oid), self._remote()
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

    def _cache_path(self, oid: str) -> Path:
        return Path(self.repo.cache.local.oid_to_path(oid))

    def _remote(self) -> Any:
        return self.repo.cloud.get_remote_odb(None, "status")


def is_whole(path: Path, oid: str) -> bool:
    """Tell whether a file has the MD5 that an object's name states."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == oid[:32]


@contextmanager
def open_storage(*, remote: bool) -> Iterator[Storage]:
    """Open the DVC repository in the current folder; raises CannotJudge when there is none.

    Every file is hashed again, because DVC's index of earlier hashes may have been manipulated.
    """
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as memory:
        with explain_errors("the DVC repository"):
            repo = Repo(".", config={"core": {"site_cache_dir": memory}})
        try:
            yield Storage(repo, remote=remote)
        finally:
            repo.close()


def _changes(status: dict[str, list[Any]]) -> Iterator[tuple[str, str]]:
    """Yield a description of each change in `dvc status`, with its state, such as "modified"."""
    for stage, entries in status.items():
        for entry in entries:
            if isinstance(entry, str):
                yield f"{stage}: {entry}", entry
                continue
            for path, states in (pair for part in entry.values() for pair in part.items()):
                by_key = states if isinstance(states, dict) else {"": states}
                for key, state in by_key.items():
                    yield f"{stage}: {path}{':' if key else ''}{key} {state}", state


@contextmanager
def explain_errors(what: str) -> Iterator[None]:
    """Raise errors of DVC, S3 and files as CannotJudge, with what to do about them."""
    try:
        yield
    except UNREADABLE as error:
        message = _text(error)
        raise CannotJudge(f"cannot read {what}: {advice_for(message)} ({message})") from error


def advice_for(message: str) -> str:
    """Return what to do about an error message of S3, its client or DVC."""
    advice = (text for pattern, text in ADVICE.items() if re.search(pattern, message))
    return next(advice, "see the message")


def _text(error: BaseException) -> str:
    """Return an error and its cause on one line."""
    cause = f": {error.__cause__}" if error.__cause__ else ""
    return " ".join(f"{type(error).__name__}: {error}{cause}".split())


def locked_outputs(lock: str) -> dict[str, tuple[str, int]]:
    """Return hash and size in bytes of every output in the text of a dvc.lock, by its path.

    Raises CannotJudge when the text is not a dvc.lock, or names a path twice: DVC reads the entry
    of a stage that dvc.yaml has, and says nothing of others.
    """
    try:
        stages = yaml.load(lock, yaml.CSafeLoader)["stages"].values()
        outs = [out for stage in stages for out in stage.get("outs", [])]
        held = {out["path"]: (out["md5"], out.get("size", 0)) for out in outs}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise CannotJudge(f"this is not a dvc.lock: {_text(error)}") from error
    if twice := [out["path"] for out in outs if held[out["path"]][0] != out["md5"]]:
        raise CannotJudge(f"dvc.lock names two versions of {', '.join(twice)}: run `dvc repro`")
    return held


def read_text(path: Path) -> str:
    """Return a text file of the working tree; raises CannotJudge when it is missing."""
    if not path.is_file():
        raise CannotJudge(f"{path} is missing: run `dvc repro`, or `dvc pull` and `git checkout`")
    return path.read_text()
