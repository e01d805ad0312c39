"""The entries of the ledger: their drafts, their canonical JSON and the chain of their hashes."""

import hashlib
import json
import os
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from service.ledger.storage.commitments import COMMITMENTS, CommittedPart, join, separate

KINDS = ("decision", "override", "proposal", "rejection", "note", "outcome", "erase", "shadow")
ANSWER = ("default_probability", "credit_score", "rating", "decision", "reasons")
GENESIS = "0" * 64

_DECISION = {"application", "identity", *ANSWER}
_encode = json.JSONEncoder(
    sort_keys=True,
    separators=(",", ":"),
    ensure_ascii=False,
    allow_nan=False,
    check_circular=False,  # nothing that is recorded holds itself
).encode


class Draft(NamedTuple):
    """An entry before it is recorded, without its sequence number and its hashes in the chain."""

    id: str
    time: str
    kind: str
    refers_to: str | None
    default_probability: float | None
    credit_score: float | None
    rating: str | None
    decision: str | None
    model: str | None
    policy: str | None
    payload: str
    digest: str
    personal: CommittedPart | None = None
    protected: CommittedPart | None = None
    reference: str | None = None


class Entry(NamedTuple):
    """One row of the ledger, in the order of the table's columns, and its personal part as JSON.

    `personal` is None where the entry has none, or where it was erased.
    """

    sequence: int
    id: str
    time: str
    kind: str
    refers_to: str | None
    default_probability: float | None
    credit_score: float | None
    rating: str | None
    decision: str | None
    model: str | None
    policy: str | None
    payload: str
    previous_hash: str
    hash: str
    personal: str | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The recorded content: id, time, kind and everything that the draft contained.

        Protected attributes are left out. Where the personal part was erased, `erased` is True and
        its fields are empty.
        """
        return join(self.payload, self.personal)


COLUMNS = Entry._fields[:-1]


class Head(NamedTuple):
    """The head of the chain: its length and the hash of its last entry."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


def canonical(content: object) -> str:
    """Return a value as JSON with sorted keys and no spaces, so that equal values give equal texts.

    Floats have the fewest digits that read back to the same bits. Raises ValueError for NaN and
    infinity, and TypeError for values that JSON cannot represent.
    """
    return _encode(content)


def new_id(nanoseconds: int) -> str:
    """Return an identifier that sorts by time, in the layout of UUID version 7 (RFC 9562, 5.7).

    `nanoseconds` since 1970 give the 48 bits of milliseconds and, as the RFC's method 3 allows,
    12 bits of their fraction; the remaining 62 bits are random.
    """
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8)) >> 2
    number = milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def columns_of(content: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of the columns from `id` to `policy`, which repeat content for queries.

    They are not hashed themselves, so a later schema can add a column without changing the chain.
    Verification compares them with the content.
    """
    identity = content.get("identity", {})
    return (
        content["id"],
        content["time"],
        content["kind"],
        content.get("refers_to"),
        _number(content.get("default_probability")),
        _number(content.get("credit_score")),
        content.get("rating"),
        content.get("decision"),
        identity.get("model"),
        identity.get("policy"),
    )


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def draft(
    kind: str,
    content: Mapping[str, Any],
    refers_to: str | None = None,
    protected: Collection[str] = (),
) -> Draft:
    """Return a draft of `kind` with this content, a new id, and the time (UTC, microseconds).

    The content of a decision holds the application as it was received and the answer:
    `application`, `default_probability`, `credit_score`, `rating`, `decision`, `reasons`,
    `identity` (`model`, `policy`, `data`, `image`), and any other JSON values. The personal fields
    (`commitments.FIELDS`) go to a part of their own, and the `protected` ones of the application to
    another.
    Raises ValueError for an unknown kind, for a decision that lacks one of these, and for NaN
    or infinity in the content.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    if kind == "decision" and not content.keys() >= _DECISION:
        missing = ", ".join(sorted(_DECISION - content.keys()))
        raise ValueError(f"a decision must have {', '.join(sorted(_DECISION))}; missing {missing}")
    nanoseconds = time.time_ns()
    moment = datetime.fromtimestamp(nanoseconds // 1000 / 1e6, UTC)
    full = dict(content, kind=kind, id=new_id(nanoseconds))
    full["time"] = moment.isoformat(timespec="microseconds")[:26] + "Z"
    if refers_to is not None:
        full["refers_to"] = refers_to
    reference = full.get("reference")
    personal, apart = separate(full, protected, canonical)
    payload = canonical(full)
    parts = (payload, _digest(payload), personal, apart, reference)
    return Draft._make((*columns_of(full), *parts))


def unseal(draft: Draft) -> Draft:
    """Return a draft with its parts in the payload, for a database that has no place for them."""
    if draft.personal is None:
        return draft
    protected = draft.protected.content if draft.protected else None
    content = join(draft.payload, draft.personal.content, protected)
    del content[COMMITMENTS]
    payload = canonical(content)
    return draft._replace(
        payload=payload, digest=_digest(payload), personal=None, protected=None, reference=None
    )


def _digest(payload: str) -> str:
    return hashlib.sha256(payload.encode()).hexdigest()


def chained_hash(sequence: int, previous_hash: str, digest: str) -> str:
    """Return the SHA-256 of the sequence number, the previous hash and the payload's SHA-256.

    The payload is represented by its digest so that the writer hashes short texts only: for more
    than 2 kB hashlib releases the interpreter's lock, and the writer would wait for it at each row.
    """
    return hashlib.sha256(f"{sequence}\n{previous_hash}\n{digest}".encode()).hexdigest()


def chain(head: Head, drafts: Iterable[Draft]) -> list[Entry]:
    """Return the entries of the drafts, chained to `head`."""
    sequence, previous_hash = head
    entries = []
    for item in drafts:
        sequence += 1
        entry_hash = chained_hash(sequence, previous_hash, item.digest)
        content = item.personal.content if item.personal else None
        entries.append(Entry(sequence, *item[:11], previous_hash, entry_hash, content))
        previous_hash = entry_hash
    return entries
