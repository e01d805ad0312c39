"""Check a receipt: that a decision stands, unchanged, in a ledger that witnesses have seen.

    python verify_receipt.py receipt.json log.vkey witness-a.vkey witness-b.vkey

This file needs Python 3.11 and `cryptography` alone. The keys are those that lender and witnesses
have published. The formats are RFC 9162 (2.1), and C2SP's tlog-checkpoint and tlog-cosignature.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMATS = ("credit-pd-receipt/v1", "credit-pd-receipt/v2")  # 2 has a personal part, or null
LOG, WITNESS = 1, 4  # C2SP's types of signature: Ed25519, and a cosignature with its time
Object = dict[str, Any]


class Invalid(ValueError):
    """What was shown proves nothing; the message says why."""


class LogCheckpoint(NamedTuple):
    """A tree as its log has signed it: whose it is, its number of entries and its root hash."""

    origin: str
    size: int
    root: bytes


class Key(NamedTuple):
    """A public key with its name and the type of signature that it makes."""

    name: str
    type: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The first four bytes of the hash that C2SP's signed note gives a key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    @classmethod
    def parse(cls, text: str) -> Key:
        """Return the key of a line `name+id+base64`; raises Invalid."""
        try:
            name, key_id, encoded = text.strip().split("+", 2)
            raw = decode(encoded)
            key = cls(name, raw[0], raw[1:])
        except (ValueError, IndexError) as error:
            raise Invalid(f"a key must be name+id+base64; got {text.strip()!r}") from error
        if key.type not in (LOG, WITNESS) or len(key.public) != 32 or key.id.hex() != key_id:
            raise Invalid(f"{name}: the key is not an Ed25519 key of C2SP's signed note")
        return key


def decode(text: str) -> bytes:
    """Return the bytes of base64; raises ValueError where it is not written as it always is."""
    if base64.b64encode(raw := base64.b64decode(text)).decode() != text:
        raise ValueError(f"not base64: {text!r}")
    return raw


def leaf_hash(entry_hash: bytes) -> bytes:
    """Return the hash of a leaf (32 bytes); the leaf is the entry's hash in the ledger's chain."""
    return sha256(b"\0" + entry_hash).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two neighbours (32 bytes)."""
    return sha256(b"\1" + left + right).digest()


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root to which a proof of inclusion leads (RFC 9162, 2.1.3.2); raises Invalid."""
    if not 0 <= index < size:
        raise Invalid(f"a tree of {size} entries has no entry {index + 1}")
    node, last, result = index, size - 1, leaf
    for part in proof:
        if last == 0:
            raise Invalid("the inclusion proof is too long")
        if node & 1 or node == last:
            result = node_hash(part, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, part)
        node, last = node >> 1, last >> 1
    if last:
        raise Invalid("the inclusion proof is too short")
    return result


def parse_checkpoint(note: str) -> tuple[str, LogCheckpoint]:
    """Return the text of a note that is signed, and the checkpoint it states; raises Invalid."""
    text, blank, _ = note.rpartition("\n\n")
    try:
        origin, written, encoded, *_ = text.split("\n")
        size, root = int(written), decode(encoded)
        if not blank or not origin or str(size) != written or size < 0 or len(root) != 32:
            raise ValueError("its origin, size or root is not well-formed")
    except ValueError as error:
        raise Invalid("the checkpoint is not one of C2SP's tlog-checkpoint") from error
    return text + "\n", LogCheckpoint(origin, size, root)


def signers(note: str, keys: Iterable[Key]) -> dict[str, datetime | None]:
    """Return which of `keys` signed the note, with a witness's time; raises Invalid if wrongly."""
    text, _ = parse_checkpoint(note)
    trusted = {("—", key.name, key.id): key for key in keys}
    signed: dict[str, datetime | None] = {}
    for line in note[len(text) + 1 :].removesuffix("\n").split("\n"):
        try:
            dash, name, encoded = line.split(" ")
            raw = decode(encoded)
        except ValueError as error:
            raise Invalid(f"not a line of a signature: {line!r}") from error
        key = trusted.get((dash, name, raw[:4]))
        if key is not None:
            signed[name] = check_signature(key, raw[4:], text)
    return signed


def check_signature(key: Key, signature: bytes, text: str) -> datetime | None:
    """Return when a witness says that it signed, None for a log; raises Invalid."""
    message, moment = text.encode(), None
    if key.type == WITNESS:
        seconds = int.from_bytes(signature[:8])
        message = f"cosignature/v1\ntime {seconds}\n".encode() + message
        signature, moment = signature[8:], datetime.fromtimestamp(min(seconds, 2**37), UTC)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except InvalidSignature:
        raise Invalid(f"the signature of {key.name} is wrong") from None
    return moment


def open_personal(committed: str, part: Object | None) -> Object:
    """Return the personal fields that an entry has committed to by a salted hash."""
    if part is None:
        return {"erased": True}
    digest = sha256(f"{part['salt']}\npersonal\n{part['content']}".encode()).digest()
    if decode(committed) != digest:
        raise ValueError("the personal part is not the one that was recorded")
    return dict(json.loads(part["content"]))


def verify(receipt: Object, log: Key, witnesses: Sequence[Key], quorum: int = 2) -> Object:
    """Return what a receipt that the log and a quorum have signed proves; raises Invalid."""
    try:
        entry, note = receipt["entry"], str(receipt["checkpoint"])
        sequence, payload = int(entry["sequence"]), str(entry["payload"])
        proof = [decode(part) for part in receipt["proof"]]
        linked = f"{sequence}\n{entry['previous_hash']}\n{sha256(payload.encode()).hexdigest()}"
        leaf = leaf_hash(sha256(linked.encode()).digest())
        content = dict(json.loads(payload))
        if FORMATS.index(receipt["format"]):
            content |= open_personal(content["commitments"]["personal"], receipt["personal"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(f"this is no receipt: {error!r}") from error
    _, checkpoint = parse_checkpoint(note)
    if checkpoint.origin != log.name or log.name not in signers(note, [log]):
        raise Invalid(f"the checkpoint is not signed by {log.name}")
    if len(seen := signers(note, witnesses)) < quorum:
        raise Invalid(f"{quorum} witnesses must have signed; {len(seen)} of those known here have")
    if root_of_inclusion(leaf, sequence - 1, checkpoint.size, proof) != checkpoint.root:
        raise Invalid(f"entry {sequence} is not in the tree that was signed: something was changed")
    return content


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what a receipt proves and return 0; exit with 1 where it proves nothing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("receipt", type=Path)
    parser.add_argument("log", type=Path, help="file of the public key of the lender's ledger")
    parser.add_argument("witness", type=Path, nargs="*", help="files of witnesses' public keys")
    parser.add_argument("--quorum", type=int, default=2, help="witnesses that must have signed")
    options = parser.parse_args(arguments)
    try:
        log, *witnesses = (Key.parse(p.read_text()) for p in (options.log, *options.witness))
        content = verify(json.loads(options.receipt.read_text()), log, witnesses, options.quorum)
    except (OSError, ValueError) as error:
        sys.exit(f"NOT VALID: {error}")
    print(json.dumps(content, indent=2, ensure_ascii=False))
    print(f"VALID: recorded in {log.name} and seen by {options.quorum} witnesses or more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
