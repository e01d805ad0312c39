"""Attach envelopes to an image in its registry, as `cosign attest` does.

They are the layers of an OCI manifest with the tag `sha256-DIGEST.att`. What was attached before
stays; a registry with immutable tags refuses a second attachment.
"""

from __future__ import annotations

import json
from hashlib import sha256

from release.attestation.evidence import Unproven
from release.deploy.host import oci_registry
from release.deploy.host.oci_registry import ENVELOPE, MANIFEST

CONFIG = "application/vnd.oci.image.config.v1+json"


def attach(image: str, envelopes: dict[bytes, str]) -> str:
    """Attach envelopes, each with its predicate type, and return the tag."""
    repository, _, digest = image.rpartition("@")
    layers = [
        descriptor(ENVELOPE, envelope)
        | {"annotations": {"dev.cosignproject.cosign/signature": "", "predicateType": predicate}}
        for envelope, predicate in envelopes.items()
    ]
    digests = [layer["digest"] for layer in layers]
    config = json.dumps(
        {
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
    ).encode()
    for content in (config, *envelopes):
        upload(repository, content)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": layers,
    }
    tag = oci_registry.attachment(digest)
    headers = {"Content-Type": MANIFEST}
    answer = oci_registry.request(
        "PUT", repository, f"manifests/{tag}", headers, json.dumps(manifest).encode()
    )
    if answer.status != 201:
        raise Unproven(f"{repository}:{tag} was refused: {answer.status} {answer.body.decode()}")
    return tag


def descriptor(media_type: str, content: bytes) -> dict[str, object]:
    """Return OCI's descriptor of a content."""
    return {"mediaType": media_type, "size": len(content), "digest": digest_of(content)}


def digest_of(content: bytes) -> str:
    """Return the digest of a content."""
    return f"sha256:{sha256(content).hexdigest()}"


def upload(repository: str, content: bytes) -> None:
    """Upload a blob in one piece."""
    started = oci_registry.request("POST", repository, "blobs/uploads/", content=b"")
    if started.status != 202:
        raise Unproven(f"{repository} accepts no upload: {started.status} {started.body.decode()}")
    location = started.location
    if location.startswith("/"):
        location = oci_registry.origin(repository.partition("/")[0]) + location
    sign = "&" if "?" in location else "?"
    address = f"{location}{sign}digest={digest_of(content)}"
    headers = {"Content-Type": "application/octet-stream"}
    answer = oci_registry.request("PUT", repository, address, headers, content)
    if answer.status != 201:
        raise Unproven(f"{repository} refuses a blob: {answer.status} {answer.body.decode()}")
