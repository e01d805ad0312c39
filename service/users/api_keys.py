"""API keys: one line per key in a file, which holds the SHA-256 of the key and never the key.

    # name roles expires SHA-256
    desk decide,read 2027-01-01 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

A key has 256 random bits, so that nobody can find it by trying, however fast the hash is. A slow
hash such as argon2 protects passwords, which people choose; here it would only cost time for each
request.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from service.users.callers import ROLES, Caller, NotAdmitted, known_roles
from stages import files

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")
PREFIX = "cpd_"  # secret scanners recognise a key by it
RELOAD_PERIOD = 1.0  # seconds after which a change of the file is noticed


class ApiKey(NamedTuple):
    """One key: the caller that holds it, its last day plus one, and its SHA-256."""

    caller: Caller
    expires: date | None
    digest: bytes

    def __str__(self) -> str:
        expires = self.expires.isoformat() if self.expires else "never"
        roles = ",".join(role for role in ROLES if role in self.caller.roles)
        return f"{self.caller.name} {roles} {expires} {self.digest.hex()}"


def new_key(name: str, roles: Sequence[str], expires: date) -> tuple[str, ApiKey]:
    """Return a random key, and what the file keeps of it; raises ValueError."""
    _require_name(name)
    key = PREFIX + secrets.token_urlsafe(32)
    digest = sha256(key.encode()).hexdigest()
    return key, parse_line(f"{name} {','.join(roles)} {expires.isoformat()} {digest}")


def key_of_digest(digest: bytes) -> ApiKey:
    """Return the key of a digest that stands alone, as in `CREDIT_PD_API_KEYS`: it may do all."""
    return ApiKey(Caller(f"key-{digest.hex()[:8]}", "service", frozenset(ROLES)), None, digest)


def parse_line(line: str) -> ApiKey:
    """Return the key that a line describes; raises ValueError, which does not repeat the digest."""
    parts = line.split()
    if len(parts) != 4:
        raise ValueError(f"must have 4 parts (name, roles, expires, SHA-256); got {len(parts)}")
    name, roles, expires, digest = parts
    _require_name(name)
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"SHA-256 must be 64 hexadecimal digits; got {len(digest)} characters")
    try:
        until = date.fromisoformat(expires)
    except ValueError:
        raise ValueError(f"expires must be a date YYYY-MM-DD; got {expires!r}") from None
    caller = Caller(name, "service", known_roles(roles.split(",")))
    return ApiKey(caller, until, bytes.fromhex(digest))


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"name must be 1 to 64 letters, digits or ._@-; got {name!r}")


def read_file(path: Path) -> list[ApiKey]:
    """Return the keys of a file; the ValueError names the file, and the number of a wrong line."""
    keys = []
    for number, line in enumerate(files.read_text(path).splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                keys.append(parse_line(line))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
    return keys


def write_file(path: Path, keys: Sequence[ApiKey]) -> None:
    """Replace the file in one step, so that a service never reads half of it."""
    text = "# name roles expires SHA-256 (written by `python -m service.users`)\n"
    text += "".join(f"{key}\n" for key in keys)
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


class KeyRing:
    """The keys that are valid now: those of the environment, and those of a file."""

    def __init__(self, digests: Sequence[bytes] = (), path: Path | None = None) -> None:
        """Read the file; raises ValueError. Later changes of it are noticed."""
        self._fixed = [key_of_digest(digest) for digest in digests]
        self._path = path
        try:
            self._state = self._file_state()
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
        self._keys: list[ApiKey] = [*self._fixed, *(read_file(path) if path else ())]
        self._checked = time.monotonic()

    def find(self, key: bytes) -> Caller:
        """Return the caller that holds a key; raises NotAdmitted."""
        self._reload()
        digest = sha256(key).digest()
        # All digests are compared, each in constant time, so that the duration reveals nothing.
        matching = [k for k in self._keys if hmac.compare_digest(digest, k.digest)]
        if not matching:
            raise NotAdmitted("invalid_key", "the API key is not valid")
        today = datetime.now(UTC).date()
        for found in matching:
            if found.expires is None or today < found.expires:
                return found.caller
        name, expired = matching[0].caller.name, matching[0].expires
        raise NotAdmitted("expired_key", f"the API key of {name} expired on {expired}")

    def _file_state(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        status = self._path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _reload(self) -> None:
        """Read the file again when it has changed; a file that is wrong changes nothing."""
        if self._path is None or time.monotonic() - self._checked < RELOAD_PERIOD:
            return
        self._checked = time.monotonic()
        try:
            state = self._file_state()
            if state != self._state:
                self._state = state
                self._keys = [*self._fixed, *read_file(self._path)]
        except (OSError, ValueError) as error:
            print(f"users: the keys stay as they were: {error}", file=sys.stderr, flush=True)
