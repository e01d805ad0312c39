"""Verify what was signed about an image: an in-toto statement in a DSSE envelope.

The statement is SLSA provenance (v1). It must name the image, its commit and its model, and a
judgement of that commit which passed. The signature is ECDSA on P-256 with SHA-256, as cosign and
AWS KMS make it; OpenSSL's command line verifies it, as the host has the standard library only.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.deploy.host import DeploymentRefused

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
JUDGEMENT = "judgement.json"
MODEL = "models/winner.json"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Evidence:
    """What a statement says about an image; `model` is the SHA-256 of the model's file."""

    commit: str
    model: str
    judgement: str
    released: str


def verify(envelope: bytes, digest: str, keys: Path) -> Evidence:
    """Return what the envelope says about the image `digest`.

    Raises DeploymentRefused unless one of the public `keys` (PEM) has signed it and a judgement has
    passed.
    """
    payload_type, payload, signatures = open_envelope(envelope)
    texts = public_keys(keys)
    message = pre_authentication_encoding(payload_type, payload)
    if not any(signed_by(key, message, each) for key in texts for each in signatures):
        raise DeploymentRefused(f"it is signed by no key of {keys}")
    if payload_type != PAYLOAD_TYPE:
        raise DeploymentRefused(f"the payload must be {PAYLOAD_TYPE}; it is {payload_type!r}")
    return read(payload, digest)


def open_envelope(envelope: bytes) -> tuple[str, bytes, list[bytes]]:
    """Return the type, the payload and the signatures in an envelope, without verifying them."""
    try:
        content = json.loads(envelope.decode())
        signatures = [decode_base64(each["sig"]) for each in content["signatures"]]
        return str(content["payloadType"]), decode_base64(content["payload"]), signatures
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DeploymentRefused("its attestation is no DSSE envelope") from None


def decode_base64(text: str) -> bytes:
    """Return the bytes of base64 in either alphabet, as DSSE asks of verifiers."""
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that DSSE signs."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def public_keys(path: Path) -> list[str]:
    """Return the public keys of a file, which has more than one while a key is replaced."""
    try:
        keys = PUBLIC_KEY.findall(path.read_text())
    except OSError as error:
        raise DeploymentRefused(
            f"the key that releases are signed with cannot be read: {error}"
        ) from None
    if not keys:
        raise DeploymentRefused(
            f"{path} must hold a public key (PEM), with which releases are signed"
        )
    return keys


def signed_by(key: str, message: bytes, signature: bytes) -> bool:
    """Tell whether the owner of a public key has signed the message."""
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as folder:
        key_file, signature_file = Path(folder, "key.pem"), Path(folder, "signature")
        key_file.write_text(key)
        signature_file.write_bytes(signature)
        command = ["openssl", "dgst", "-sha256", "-verify", str(key_file)]
        command += ["-signature", str(signature_file)]
        try:
            done = subprocess.run(
                command, input=message, capture_output=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeploymentRefused(
                f"openssl cannot be run, so nothing can be verified: {error}"
            ) from None
    return done.returncode == 0


def read(payload: bytes, digest: str) -> Evidence:
    """Return what a statement says about an image; DeploymentRefused unless it is judged."""
    try:
        statement = json.loads(payload.decode())
        types = statement["_type"], statement["predicateType"]
        images = [each["digest"].get("sha256") for each in statement["subject"]]
        build, run = (statement["predicate"][key] for key in ("buildDefinition", "runDetails"))
        commits = digests_of(build["resolvedDependencies"], "gitCommit")
        models = digests_of(build["resolvedDependencies"], "sha256", MODEL)
        judgements = [each for each in run["byproducts"] if each.get("name") == JUDGEMENT]
        released = str(run["metadata"]["finishedOn"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DeploymentRefused("its attestation is not SLSA provenance") from None
    if types != (STATEMENT_TYPE, PROVENANCE):
        raise DeploymentRefused(f"its attestation must be {PROVENANCE}; it is {types[1]!r}")
    # More subjects would let a file of the image, made to look like an image, pass for one.
    if images != [digest.rpartition(":")[2]]:
        raise DeploymentRefused("its attestation is about another image")
    if len(commits) != 1 or len(models) != 1 or not TIME.fullmatch(released):
        raise DeploymentRefused(
            "its attestation must name one commit, one model and the time of the release"
        )
    if len(judgements) != 1:
        raise DeploymentRefused("it was not judged: its attestation names no judgement")
    return Evidence(commits[0], models[0], require_pass(judgements[0], commits[0]), released)


def digests_of(resources: list[dict[str, Any]], algorithm: str, name: str = "") -> list[str]:
    """Return the digests by an algorithm, of the resources with a name or of all."""
    chosen = [each for each in resources if not name or each.get("name") == name]
    return [each["digest"][algorithm] for each in chosen if algorithm in each.get("digest", {})]


def require_pass(judgement: dict[str, Any], commit: str) -> str:
    """Return the SHA-256 of the judgement; DeploymentRefused unless this commit passed."""
    try:
        notes, digest = judgement["annotations"], str(judgement["digest"]["sha256"])
        verdict, head = notes["verdict"], notes["head"]
    except (KeyError, TypeError):
        raise DeploymentRefused("it was not judged: its attestation states no verdict") from None
    if verdict != "pass":
        raise DeploymentRefused(f"the verdict about it must be 'pass'; it is {verdict!r}")
    if head != commit:
        raise DeploymentRefused(f"the judgement is of commit {head}; the image is of {commit}")
    return digest
