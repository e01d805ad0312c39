"""Sign statements as DSSE envelopes, with a key in a file or in AWS KMS.

A key is ECDSA on P-256 with SHA-256, which cosign uses, KMS has, and OpenSSL verifies on a host.
`awskms:///alias/NAME` names a key as cosign does.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from release.attestation.evidence import Unproven
from release.deploy.host.attestation import PAYLOAD_TYPE, pre_authentication_encoding

KMS = "awskms:///"
Sign = Callable[[bytes], bytes]


def envelope(statement: dict[str, Any], sign: Sign) -> bytes:
    """Return the signed envelope of a statement."""
    payload = json.dumps(statement, separators=(",", ":")).encode()
    signature = sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    content = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(content).encode()


def signer(key: str) -> Sign:
    """Return what signs with a key: `awskms:///alias/NAME`, or the path of a private key (PEM)."""
    if key.startswith(KMS):
        return kms_signer(key.removeprefix(KMS))
    try:
        private = load_pem_private_key(Path(key).read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unproven(f"{key} must be a private key (PEM) without a password: {error}") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
        raise Unproven(f"{key} must be a key of ECDSA on P-256; `release.attestation keygen` is")
    return lambda message: private.sign(message, ec.ECDSA(hashes.SHA256()))


def kms_signer(name: str) -> Sign:
    """Return what signs with a key of AWS KMS, which never leaves it."""
    kms = botocore.session.get_session().create_client("kms")

    def sign(message: bytes) -> bytes:
        answer = kms.sign(
            KeyId=name,
            Message=hashlib.sha256(message).digest(),
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return bytes(answer["Signature"])

    return sign


def generate(folder: Path) -> tuple[Path, Path]:
    """Write a new key to `release.key`, which its owner alone can read, and `release.pub`."""
    private = ec.generate_private_key(ec.SECP256R1())
    secret, public = folder / "release.key", folder / "release.pub"
    folder.mkdir(parents=True, exist_ok=True)
    secret.touch(mode=0o600, exist_ok=False)
    secret.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return secret, public
