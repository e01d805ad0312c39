"""What is signed about a release: one commit, its judgement, and the models in the image."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from release.attestation import __main__ as command
from release.attestation import signing
from release.attestation.evidence import BENTO, COMMIT
from release.deploy.host import attestation
from release.deploy.host.attestation import MODEL, PROVENANCE
from service.decision import hashes
from tests.support.fakes.registry_fake import Registry
from tests.support.trained.signed_releases import Releases

DIGEST = f"sha256:{'a' * 64}"
HEAD = "c" * 40
ROOT = Path(__file__).parents[3]
MODELS = {str(path): (ROOT / path).read_bytes() for path in hashes.FILES}
ENGINE = """#!/usr/bin/env python3
import pathlib, sys
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
if words[0] == "inspect":
    print((here / "labels.json").read_text())
elif words[0] == "cp":
    folder, _, path = words[1].partition("container:%s/")
    assert (folder, words[2]) == ("", "-")
    sys.stdout.buffer.write((here / pathlib.Path(path).name).with_suffix(".tar").read_bytes())
elif words[0] in ("create", "rm"):
    print("container")
else:
    sys.exit("an image must not be started: " + words[0])
"""


class Image:
    """An image as the engine shows it, and the judgement of its commit."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder = folder
        self.name = f"{registry.repository}@{DIGEST}"
        (folder / "engine").write_text(ENGINE % BENTO)
        (folder / "engine").chmod(0o755)
        self.pack(HEAD, dict(MODELS))
        self.judge()

    def pack(self, commit: str, models: dict[str, bytes], **stated: str) -> None:
        """Have the image hold these models and a manifest of them, or another one."""
        about = [{"Config": {"Labels": {COMMIT: commit}}}]
        (self.folder / "labels.json").write_text(json.dumps(about))
        manifest = hashes.manifest({Path(name): held for name, held in models.items()})
        manifest = json.dumps({"sha256": stated}) if stated else manifest
        self.write("models.tar", {**models, str(hashes.MANIFEST): manifest.encode()})
        for path in ("params.yaml", "dvc.lock", "requirements/service.txt"):
            self.write(f"{Path(path).stem}.tar", {Path(path).name: (ROOT / path).read_bytes()})

    def write(self, name: str, contents: dict[str, bytes]) -> None:
        """Write an archive as the engine gives it."""
        with tarfile.open(self.folder / name, "w") as archive:
            for path, held in contents.items():
                member = tarfile.TarInfo(path)
                member.size = len(held)
                archive.addfile(member, io.BytesIO(held))

    def judge(self, **changed: Any) -> str:
        """Write the judgement, and return its SHA-256."""
        digests = {name: sha256(held).hexdigest() for name, held in MODELS.items()}
        stated = {"verdict": "pass", "base": "b" * 40, "head": HEAD, "models": digests}
        content = json.dumps({**stated, **changed}).encode()
        (self.folder / "judgement.json").write_bytes(content)
        return sha256(content).hexdigest()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with Registry().running() as running:
        yield running


@pytest.fixture
def image(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Image:
    monkeypatch.setenv("CREDIT_PD_ENGINE", str(tmp_path / "engine"))
    return Image(tmp_path, registry)


@pytest.fixture
def keys(tmp_path: Path) -> Releases:
    return Releases.with_new_key(tmp_path / "keys")


def signed(registry: Registry) -> list[dict[str, Any]]:
    """Return the statements in the registry."""
    envelopes = [held for held in registry.held.values() if b"payloadType" in held]
    return [json.loads(attestation.open_envelope(envelope)[1]) for envelope in envelopes]


def attest(image: Image, key: object, *words: str) -> int:
    judgement = ("--judgement", str(image.folder / "judgement.json"))
    bill = ("--bom", str(image.folder / "model.cdx.json"))
    return command.main(["attest", image.name, "--key", str(key), *judgement, *bill, *words])


def test_what_was_judged_is_signed_and_a_host_reads_it(
    image: Image, keys: Releases, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bom = tmp_path / "bom.cdx.json"
    bom.write_text("{}")
    digest = image.judge()
    words = ("--judgement-sha256", digest, "--file", str(bom))
    predicate = ("--predicate", str(tmp_path / "predicate.json"))
    assert attest(image, keys.secret, *words, *predicate) == 0
    assert capsys.readouterr().out == f"attested: sha256-{'a' * 64}.att\n"
    assert command.main(["verify", image.name, "--key", str(keys.public)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["commit"], printed["judgement"]) == (HEAD, digest)
    assert printed["model"] == sha256(MODELS[MODEL]).hexdigest()
    written = json.loads((tmp_path / "predicate.json").read_text())
    names = {each["name"] for each in written["runDetails"]["byproducts"]}
    assert names == {"judgement.json", "bom.cdx.json", "model.cdx.json"}


def test_the_signed_statement_names_every_model_file_and_the_manifest(
    image: Image, keys: Releases, registry: Registry
) -> None:
    assert attest(image, keys.secret) == 0
    [statement] = [each for each in signed(registry) if each["predicateType"] == PROVENANCE]
    manifest = hashes.manifest({Path(name): held for name, held in MODELS.items()})
    assert [each["name"] for each in statement["subject"]] == [registry.repository]
    inputs = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    named = {each.get("name"): each["digest"].get("sha256") for each in inputs}
    assert named.keys() >= {*MODELS, str(hashes.MANIFEST)}
    assert named[str(hashes.MANIFEST)] == sha256(manifest.encode()).hexdigest()


@pytest.mark.parametrize("verdict", ["fail", "cannot judge", None])
def test_what_did_not_pass_is_not_signed(
    image: Image, keys: Releases, registry: Registry, verdict: str | None, capsys: Any
) -> None:
    image.judge(verdict=verdict)
    assert attest(image, keys.secret) == 1
    assert "only what passed is signed" in capsys.readouterr().err
    assert registry.held == {}


def test_a_judgement_that_was_exchanged_on_the_way_is_refused(
    image: Image, keys: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = image.judge(verdict="fail")
    image.judge()
    assert attest(image, keys.secret, "--judgement-sha256", judged) == 1
    assert f"must be the judgement {judged}" in capsys.readouterr().err


def test_an_image_of_another_commit_is_not_signed(
    image: Image, keys: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    image.pack("d" * 40, dict(MODELS))
    assert attest(image, keys.secret) == 1
    assert f"the judgement is of commit {HEAD}" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*MODELS, "models/extra.joblib"])
def test_an_image_with_another_model_than_the_judged_one_is_not_signed(
    image: Image, keys: Releases, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image.pack(HEAD, {**MODELS, name: b"another"})
    assert attest(image, keys.secret) == 1
    assert f"{name} was judged as" in capsys.readouterr().err


def test_an_image_without_one_of_the_judged_models_is_not_signed(
    image: Image, keys: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    image.pack(HEAD, {name: held for name, held in MODELS.items() if name != MODEL})
    assert attest(image, keys.secret) == 1
    assert f"{MODEL} was judged as" in capsys.readouterr().err


def test_an_image_whose_manifest_states_other_files_is_not_signed(
    image: Image, keys: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    image.pack(HEAD, dict(MODELS), **{MODEL: "0" * 64})
    assert attest(image, keys.secret) == 1
    assert "must state the model files beside it" in capsys.readouterr().err


def test_what_was_attested_is_not_attested_again_in_a_registry_with_immutable_tags(
    image: Image, keys: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attest(image, keys.secret) == 0
    assert attest(image, keys.secret) == 1
    assert "was refused: 400 tags are immutable" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "no key"])
def test_a_key_that_cannot_be_read_is_named(
    image: Image, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.key").write_text(text)
    assert attest(image, tmp_path / "wrong.key") == 1
    assert "must be a private key (PEM)" in capsys.readouterr().err


def test_a_new_key_never_overwrites_one(keys: Releases, capsys: Any) -> None:
    assert command.main(["keygen", str(keys.secret.parent)]) == 1
    assert "File exists" in capsys.readouterr().err
    assert keys.secret.stat().st_mode & 0o777 == 0o600


def test_a_key_of_kms_signs_the_digest_of_what_dsse_signs(
    monkeypatch: pytest.MonkeyPatch, keys: Releases
) -> None:
    asked: dict[str, Any] = {}

    class Kms:
        def sign(self, **words: Any) -> dict[str, bytes]:
            asked.update(words)
            return {"Signature": b"signature"}

    class Session:
        def create_client(self, name: str) -> Kms:
            assert name == "kms"
            return Kms()

    monkeypatch.setattr(botocore.session, "get_session", Session)
    assert signing.signer("awskms:///alias/credit-pd-release")(b"message") == b"signature"
    assert asked == {
        "KeyId": "alias/credit-pd-release",
        "Message": sha256(b"message").digest(),
        "MessageType": "DIGEST",
        "SigningAlgorithm": "ECDSA_SHA_256",
    }


def test_the_run_of_a_workflow_is_named_as_github_names_it() -> None:
    environment = {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "lender/credit",
        "GITHUB_WORKFLOW_REF": "lender/credit/.github/workflows/release.yml@refs/heads/main",
        "GITHUB_RUN_ID": "7",
        "GITHUB_RUN_ATTEMPT": "2",
    }
    run = command.ReleaseRun.from_environment(environment)
    assert run.workflow == ".github/workflows/release.yml"
    assert run.ref == "refs/heads/main"
    assert run.invocation == "https://github.com/lender/credit/actions/runs/7/attempts/2"
    assert command.ReleaseRun.from_environment({}).repository == "https://localhost/by-hand"
