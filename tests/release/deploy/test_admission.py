"""What a host starts: only what is signed, judged, and not older than what is live."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from release.attestation import attachment
from release.deploy import host
from release.deploy.host import DeploymentRefused, attestation, oci_registry
from release.deploy.host.admission import admit
from release.deploy.host.attestation import PROVENANCE
from release.deploy.host.files import DeploymentState, Release
from release.deploy.host.settings import HostSettings
from tests.support.fakes.registry_fake import Registry
from tests.support.trained.signed_releases import COMMIT, Releases, payload

DIGEST, OTHER = (f"sha256:{letter * 64}" for letter in "ab")
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return Releases.with_new_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with Registry().running() as running:
        yield running


@pytest.fixture
def settings(registry: Registry, releases: Releases, tmp_path: Path) -> HostSettings:
    path = tmp_path / "host.env"
    text = (Path(host.__file__).parent / "host.env").read_text()
    path.write_text(text.replace("REPOSITORY=", f"REPOSITORY={registry.repository}"))
    return replace(HostSettings.read(path), state=tmp_path / "state", release_key=releases.public)


def admitted(settings: HostSettings, digest: str, *, older: bool = False) -> attestation.Evidence:
    return admit(
        f"{settings.repository}@{digest}", settings, DeploymentState(settings.state), older=older
    )


def make_live(settings: HostSettings, digest: str) -> None:
    release = Release("blue", f"{settings.repository}@{digest}", {}, "2026-01-01T00:00:00Z")
    DeploymentState(settings.state).folder.mkdir(exist_ok=True)
    DeploymentState(settings.state).promote(release)


def test_a_signed_and_judged_image_is_admitted(settings: HostSettings, releases: Releases) -> None:
    releases.attach(f"{settings.repository}@{DIGEST}")
    image = admitted(settings, DIGEST)
    assert (image.commit, image.released) == (COMMIT, "2026-11-20T12:00:00Z")


def test_an_image_without_an_attestation_is_refused(settings: HostSettings) -> None:
    with pytest.raises(DeploymentRefused, match="nothing is attached to it"):
        admitted(settings, DIGEST)


def test_an_attestation_by_another_key_is_refused(settings: HostSettings, tmp_path: Path) -> None:
    Releases.with_new_key(tmp_path / "other").attach(f"{settings.repository}@{DIGEST}")
    with pytest.raises(DeploymentRefused, match="it is signed by no key of"):
        admitted(settings, DIGEST)


def test_the_attestation_of_another_image_is_refused(
    settings: HostSettings, releases: Releases
) -> None:
    envelope = releases.envelope(f"{settings.repository}@{OTHER}")
    attachment.attach(f"{settings.repository}@{DIGEST}", {envelope: PROVENANCE})
    with pytest.raises(DeploymentRefused, match="about another image"):
        admitted(settings, DIGEST)


def judgement(statement: dict[str, Any]) -> dict[str, Any]:
    judged: dict[str, Any] = statement["predicate"]["runDetails"]["byproducts"][0]
    return judged


CHANGES: dict[str, tuple[Change, str]] = {
    "no judgement": (
        lambda claim: claim["predicate"]["runDetails"]["byproducts"].clear(),
        "it was not judged",
    ),
    "no verdict": (lambda claim: judgement(claim).pop("annotations"), "states no verdict"),
    "a failed judgement": (
        lambda claim: judgement(claim)["annotations"].update(verdict="fail"),
        "must be 'pass'; it is 'fail'",
    ),
    "a judgement that could not be made": (
        lambda claim: judgement(claim)["annotations"].update(verdict="cannot judge"),
        "must be 'pass'",
    ),
    "the judgement of another commit": (
        lambda claim: judgement(claim)["annotations"].update(head="d" * 40),
        f"the judgement is of commit {'d' * 40}",
    ),
    "another predicate": (
        lambda claim: claim.update(predicateType="https://cyclonedx.org/bom"),
        "must be https://slsa.dev/provenance/v1",
    ),
    "no model": (
        lambda claim: claim["predicate"]["buildDefinition"]["resolvedDependencies"].pop(),
        "one commit, one model",
    ),
    "no time": (
        lambda claim: claim["predicate"]["runDetails"]["metadata"].update(finishedOn="soon"),
        "the time of the release",
    ),
    "another subject beside the image": (
        lambda claim: claim["subject"].append({"name": "file", "digest": {"sha256": "e" * 64}}),
        "about another image",
    ),
    "no predicate": (lambda claim: claim.pop("predicate"), "not SLSA provenance"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_signed_statement_that_says_too_little_is_refused(
    settings: HostSettings, releases: Releases, name: str
) -> None:
    change, words = CHANGES[name]
    image = f"{settings.repository}@{DIGEST}"
    statement = releases.statement(image)
    change(statement)
    attachment.attach(image, {releases.sign(statement): PROVENANCE})
    with pytest.raises(DeploymentRefused, match=words):
        admitted(settings, DIGEST)


def changed_payload(envelope: bytes) -> bytes:
    content = payload(envelope)
    claim = base64.b64decode(content["payload"]).replace(b"a" * 64, b"b" * 64)
    return json.dumps({**content, "payload": base64.b64encode(claim).decode()}).encode()


def changed_type(envelope: bytes) -> bytes:
    return json.dumps({**payload(envelope), "payloadType": "text/plain"}).encode()


def without_signatures(envelope: bytes) -> bytes:
    return json.dumps({**payload(envelope), "signatures": []}).encode()


def in_other_letters(envelope: bytes) -> bytes:
    return envelope.decode().encode("utf-16")


@pytest.mark.parametrize(
    "tamper",
    [changed_payload, changed_type, without_signatures, in_other_letters, lambda _: b"[1]"],
)
def test_an_envelope_that_was_changed_after_the_signature_is_refused(
    settings: HostSettings, releases: Releases, tamper: Callable[[bytes], bytes]
) -> None:
    envelope = tamper(releases.envelope(f"{settings.repository}@{DIGEST}"))
    attachment.attach(f"{settings.repository}@{OTHER}", {envelope: PROVENANCE})
    with pytest.raises(DeploymentRefused, match="no attestation permits starting it"):
        admitted(settings, OTHER)
    attachment.attach(f"{settings.repository}@{DIGEST}", {envelope: PROVENANCE})
    with pytest.raises(DeploymentRefused, match="no attestation permits starting it"):
        admitted(settings, DIGEST)


def test_base64_for_addresses_is_accepted_as_dsse_asks(
    releases: Releases, settings: HostSettings
) -> None:
    content = payload(releases.envelope(f"r@{DIGEST}"))
    for each in (content, content["signatures"][0]):
        for key in ("payload", "sig"):
            if key in each:
                each[key] = each[key].replace("+", "-").replace("/", "_")
    envelope = json.dumps(content).encode()
    assert attestation.verify(envelope, DIGEST, settings.release_key).commit == COMMIT


def test_what_is_signed_is_the_encoding_of_dsse() -> None:
    encoded = attestation.pre_authentication_encoding(
        "http://example.com/HelloWorld", b"hello world"
    )
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert attestation.pre_authentication_encoding("exämple", b"").startswith(b"DSSEv1 8 ")


def test_an_image_that_is_older_than_the_live_one_needs_a_named_roll_back(
    settings: HostSettings, releases: Releases
) -> None:
    releases.attach(f"{settings.repository}@{DIGEST}", released="2026-11-20T12:00:00")
    releases.attach(f"{settings.repository}@{OTHER}", released="2026-11-19T12:00:00")
    admitted(settings, DIGEST)
    make_live(settings, DIGEST)
    with pytest.raises(
        DeploymentRefused, match="released at 2026-11-19T12:00:00Z, and the live one at 2026"
    ):
        admitted(settings, OTHER)
    assert admitted(settings, OTHER, older=True).released == "2026-11-19T12:00:00Z"


def test_the_live_image_may_be_deployed_again(settings: HostSettings, releases: Releases) -> None:
    releases.attach(f"{settings.repository}@{DIGEST}")
    admitted(settings, DIGEST)
    make_live(settings, DIGEST)
    assert admitted(settings, DIGEST).commit == COMMIT


def test_a_roll_back_needs_no_registry(settings: HostSettings, releases: Releases) -> None:
    releases.attach(f"{settings.repository}@{DIGEST}")
    admitted(settings, DIGEST)
    gone = replace(settings, repository="127.0.0.1:9/credit-pd")
    assert admitted(gone, DIGEST, older=True).commit == COMMIT
    with pytest.raises(DeploymentRefused, match="cannot be asked for attestations"):
        admitted(gone, OTHER)


def test_a_kept_attestation_is_verified_again(settings: HostSettings, releases: Releases) -> None:
    releases.attach(f"{settings.repository}@{DIGEST}")
    admitted(settings, DIGEST)
    kept = DeploymentState(settings.state).attestation(DIGEST)
    kept.write_bytes(changed_payload(kept.read_bytes()))
    with pytest.raises(DeploymentRefused, match="it is signed by no key"):
        admitted(settings, DIGEST)


@pytest.mark.parametrize("text", [None, "", "no key"])
def test_without_a_key_nothing_is_started(
    settings: HostSettings, releases: Releases, tmp_path: Path, text: str | None
) -> None:
    releases.attach(f"{settings.repository}@{DIGEST}")
    keys = tmp_path / "absent.pub"
    if text is not None:
        keys.write_text(text)
    with pytest.raises(DeploymentRefused, match=r"cannot be read|must hold a public key"):
        admitted(replace(settings, release_key=keys), DIGEST)


def test_two_keys_are_accepted_while_one_replaces_the_other(
    settings: HostSettings, releases: Releases, tmp_path: Path
) -> None:
    new = Releases.with_new_key(tmp_path / "new")
    both = tmp_path / "both.pub"
    both.write_text(releases.public.read_text() + new.public.read_text())
    new.attach(f"{settings.repository}@{DIGEST}")
    assert admitted(replace(settings, release_key=both), DIGEST).commit == COMMIT


@pytest.mark.parametrize("stored", ["auths", "credHelpers"])
def test_the_registry_is_asked_with_the_login_of_the_container_engine(
    releases: Releases,
    settings: HostSettings,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stored: str,
) -> None:
    releases.attach(f"{settings.repository}@{DIGEST}")
    registry.login = base64.b64encode(b"AWS:token").decode()
    with pytest.raises(DeploymentRefused, match="the registry answers 401"):
        admitted(settings, DIGEST)
    folder, helper = tmp_path / "docker", tmp_path / "docker-credential-ecr-login"
    folder.mkdir()
    logins = {
        "auths": {registry.address: {"auth": registry.login}},
        "credHelpers": {registry.address: "ecr-login"},
    }
    (folder / "config.json").write_text(json.dumps({stored: logins[stored]}))
    helper.write_text('#!/bin/sh\necho \'{"Username": "AWS", "Secret": "token"}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert admitted(settings, DIGEST).commit == COMMIT


def test_a_blob_with_another_content_is_refused(
    settings: HostSettings, releases: Releases, registry: Registry
) -> None:
    releases.attach(f"{settings.repository}@{DIGEST}")
    for path in registry.held:
        if path.startswith("blobs/"):
            registry.held[path] = b"{}"
    with pytest.raises(DeploymentRefused, match="does not give the blob"):
        oci_registry.attestations(f"{settings.repository}@{DIGEST}")
