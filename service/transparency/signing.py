"""Private keys, and the notes that are signed with them (C2SP's signed note and cosignature)."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.transparency.verify_receipt import LOG, WITNESS, Key, LogCheckpoint

_PREFIX = "PRIVATE+KEY+"


class Signer(NamedTuple):
    """A private key, with the public key that verifies what it signs."""

    key: Key
    private: Ed25519PrivateKey

    @classmethod
    def generate(cls, name: str, signature_type: int) -> Signer:
        """Return a new key; a name has no spaces and no plus."""
        return cls.from_seed(name, signature_type, os.urandom(32))

    @classmethod
    def from_seed(cls, name: str, signature_type: int, seed: bytes) -> Signer:
        """Return the key of a seed (32 bytes)."""
        if not name or "+" in name or any(letter.isspace() for letter in name):
            raise ValueError(f"the name of a key has no spaces and no plus; got {name!r}")
        if signature_type not in (LOG, WITNESS) or len(seed) != 32:
            raise ValueError(f"{name}: a private key has a type of {LOG} or {WITNESS} and 32 bytes")
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(Key(name, signature_type, public), private)

    @classmethod
    def load(cls, path: Path) -> Signer:
        """Read the file that `save` wrote; raises OSError and ValueError, which name the file."""
        try:
            name, _, encoded = path.read_text().strip().removeprefix(_PREFIX).split("+", 2)
            raw = base64.b64decode(encoded, validate=True)
            return cls.from_seed(name, raw[0], raw[1:])
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path}: this is no private key of `keygen`: {error}") from error

    def save(self, path: Path) -> None:
        """Write the private key to a new file that its owner alone can read."""
        raw = bytes([self.key.type]) + self.private.private_bytes_raw()
        line = f"{_PREFIX}{self.key.name}+{self.key.id.hex()}+{base64.b64encode(raw).decode()}\n"
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(line)

    def sign(self, text: str) -> str:
        """Return the line of the signature of a note's text; a witness adds the time."""
        message, stamp = text.encode(), b""
        if self.key.type == WITNESS:
            seconds = int(time.time())
            stamp = seconds.to_bytes(8)
            message = f"cosignature/v1\ntime {seconds}\n".encode() + message
        signed = base64.b64encode(self.key.id + stamp + self.private.sign(message)).decode()
        return f"— {self.key.name} {signed}\n"


def public_line(key: Key) -> str:
    """Return the line by which a public key is published."""
    encoded = base64.b64encode(bytes([key.type]) + key.public).decode()
    return f"{key.name}+{key.id.hex()}+{encoded}"


def checkpoint_text(checkpoint: LogCheckpoint) -> str:
    """Return the text of a checkpoint (C2SP's tlog-checkpoint) that is to be signed."""
    root = base64.b64encode(checkpoint.root).decode()
    return f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n"


def sign_checkpoint(checkpoint: LogCheckpoint, signer: Signer) -> str:
    """Return a checkpoint as a note with the log's signature."""
    text = checkpoint_text(checkpoint)
    return f"{text}\n{signer.sign(text)}"
