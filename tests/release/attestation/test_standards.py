"""What is signed, read by others: another implementation of DSSE, and what cosign asks for.

`cosign verify-attestation --key` takes the layers of `sha256-DIGEST.att` that have DSSE's media
type, verifies the envelope, and looks for the image among the subjects of its in-toto statement.
"""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from release.attestation.statement import BUILD_TYPE
from release.deploy.host import oci_registry
from tests.support.fakes.registry_fake import Registry
from tests.support.trained.signed_releases import COMMIT, Releases

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return Releases.with_new_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def layers(
    releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[dict[str, Any], bytes]]:
    """The layers of the attestation of an image, each with its content, by the registry's API."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with Registry().running() as registry:
        releases.attach(f"{registry.repository}@{DIGEST}")
        held = read(registry, f"manifests/{DIGEST.replace(':', '-')}.att")
        manifest = json.loads(held)
        assert manifest["schemaVersion"] == 2
        assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        config = read(registry, f"blobs/{manifest['config']['digest']}")
        assert manifest["config"]["size"] == len(config)
        return [(layer, read(registry, f"blobs/{layer['digest']}")) for layer in manifest["layers"]]


def read(registry: Registry, path: str) -> bytes:
    return oci_registry.request("GET", registry.repository, path).body


def public_key(releases: Releases) -> SSlibKey:
    key = SSlibKey.from_crypto(load_pem_public_key(releases.public.read_bytes()))
    key.keyid = ""  # as in the envelope: this implementation compares the hint, DSSE does not
    return key


def test_another_implementation_verifies_the_envelope(releases: Releases) -> None:
    signed = Envelope.from_dict(json.loads(releases.envelope(f"registry/credit@{DIGEST}")))
    assert public_key(releases).scheme == "ecdsa-sha2-nistp256"
    assert list(signed.verify([public_key(releases)], 1)) == [""]


def test_another_implementation_refuses_what_was_changed(releases: Releases) -> None:
    signed = Envelope.from_dict(json.loads(releases.envelope(f"registry/credit@{DIGEST}")))
    signed.payload = signed.payload.replace(COMMIT.encode(), b"d" * 40)
    with pytest.raises(VerificationError):
        signed.verify([public_key(releases)], 1)


def test_another_implementation_refuses_another_key(releases: Releases, tmp_path: Path) -> None:
    signed = Envelope.from_dict(json.loads(releases.envelope(f"registry/credit@{DIGEST}")))
    with pytest.raises(VerificationError):
        signed.verify([public_key(Releases.with_new_key(tmp_path))], 1)


def test_the_layers_are_what_cosign_looks_for(
    layers: list[tuple[dict[str, Any], bytes]], releases: Releases
) -> None:
    [(layer, content)] = layers
    assert layer["mediaType"] == "application/vnd.dsse.envelope.v1+json"
    assert layer["size"] == len(content)
    assert layer["digest"] == f"sha256:{sha256(content).hexdigest()}"
    assert layer["annotations"]["dev.cosignproject.cosign/signature"] == ""
    envelope = json.loads(content)
    assert envelope.keys() == {"payloadType", "payload", "signatures"}
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    said = json.loads(base64.b64decode(envelope["payload"], validate=True))  # the standard alphabet
    assert said["predicateType"] == layer["annotations"]["predicateType"]
    assert [subject["digest"] for subject in said["subject"]] == [{"sha256": "a" * 64}]
    assert list(Envelope.from_dict(envelope).verify([public_key(releases)], 1)) == [""]


def test_the_provenance_has_the_fields_that_slsa_asks_for(releases: Releases) -> None:
    """Those that SLSA v1.0 requires for a level, and no field that it does not have."""
    said = releases.statement(f"registry/credit@{DIGEST}")
    assert said.keys() == {"_type", "subject", "predicateType", "predicate"}
    build, run = (said["predicate"].pop(key) for key in ("buildDefinition", "runDetails"))
    assert said["predicate"] == {}
    assert build.keys() == {
        *("buildType", "externalParameters", "internalParameters", "resolvedDependencies")
    }
    assert build["buildType"] == BUILD_TYPE
    assert build["externalParameters"].keys() == {"workflow"}
    assert run.keys() == {"builder", "metadata", "byproducts"}
    assert run["builder"]["id"].startswith("https://")
    assert run["metadata"].keys() == {"invocationId", "finishedOn"}
    descriptor = {
        "name",
        "uri",
        "digest",
        "content",
        "downloadLocation",
        "mediaType",
        "annotations",
    }
    for each in (*build["resolvedDependencies"], *run["byproducts"]):
        assert each.keys() <= descriptor
        assert each.keys() & {"uri", "digest", "content"}
