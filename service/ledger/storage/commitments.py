"""Take the personal parts out of an entry's content, and commit to them by a salted hash."""

import base64
import json
import os
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

PERSONAL, PROTECTED = "personal", "protected"  # the parts of an entry
COMMITMENTS = "commitments"
FIELDS = ("application", "reasons", "reference", "reason", "approval_reason", "text")
"""The names under which an entry's content may hold personal data, in an entry of any kind."""
EMPTY: dict[str, Any] = {
    "application": {},
    "reasons": [],
    "reason": "",
    "approval_reason": None,
    "text": "",
}
"""What the chain holds of a field in place of its value; a field that is not here is left out."""

RECORDED_DIGEST = "recorded_digest"
"""Where an entry of an earlier release was erased: the SHA-256 of the payload that was recorded."""
SALT = 16  # random bytes: too many for anybody to try them all

Encode = Callable[[object], str]


class CommittedPart(NamedTuple):
    """A part of an entry that stands apart from it: its salt, and its content as JSON."""

    salt: str
    content: str


def commitment(name: str, part: CommittedPart) -> str:
    """Return the SHA-256 of a part with its salt and its name, in base64."""
    digest = sha256(f"{part.salt}\n{name}\n{part.content}".encode()).digest()
    return base64.b64encode(digest).decode()


def separate(
    content: dict[str, Any], protected: Collection[str], encode: Encode
) -> tuple[CommittedPart | None, CommittedPart | None]:
    """Replace the personal fields of `content` by commitments, and return both parts.

    `protected` are the fields of an application that make up the second part. A part is None where
    the content has nothing for it.
    """
    personal = {name: content[name] for name in FIELDS if name in content}
    if not personal:
        return None, None
    apart = {}
    if protected and isinstance(application := personal.get("application"), dict):
        apart = {name: value for name, value in application.items() if name in protected}
        if apart:
            rest = {name: value for name, value in application.items() if name not in apart}
            personal["application"] = rest
    parts = {PERSONAL: _with_salts(personal, encode), PROTECTED: _with_salts(apart, encode)}
    empty(content)
    content[COMMITMENTS] = {n: commitment(n, part) for n, part in parts.items() if part}
    return parts[PERSONAL], parts[PROTECTED]


def empty(content: dict[str, Any]) -> None:
    """Take the values of the personal fields out of an entry's content."""
    for name in FIELDS:
        if name in content and name in EMPTY:
            content[name] = EMPTY[name]
        else:
            content.pop(name, None)


def digest_of(payload: str) -> str:
    """Return the SHA-256 by which the chain holds a payload, also where that was erased since.

    Who trusts the digest of an erased payload must know from an entry of the chain that the payload
    was erased: `verify` does.
    """
    if RECORDED_DIGEST in payload:
        try:
            return str(json.loads(payload)[RECORDED_DIGEST])
        except (ValueError, KeyError, TypeError):
            pass
    return sha256(payload.encode(errors="replace")).hexdigest()


def is_emptied(payload: str) -> bool:
    """Tell whether the payload of an earlier release's entry was erased."""
    return RECORDED_DIGEST in payload and RECORDED_DIGEST in json.loads(payload)


def _with_salts(content: Mapping[str, Any], encode: Encode) -> CommittedPart | None:
    return CommittedPart(os.urandom(SALT).hex(), encode(content)) if content else None


def join(payload: str, personal: str | None, protected: str | None = None) -> dict[str, Any]:
    """Return the content of an entry with its parts; `erased` is True where there is none.

    Raises ValueError or TypeError for texts that were damaged.
    """
    content: dict[str, Any] = json.loads(payload)
    if RECORDED_DIGEST in content:
        return content | {"erased": True}
    if PERSONAL not in content.get(COMMITMENTS, ()):
        return content
    if personal is None:
        return content | {"erased": True}
    content |= json.loads(personal)
    if protected is not None:
        content["application"] = {**content["application"], **json.loads(protected)}
    return content
