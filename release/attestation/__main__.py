"""Sign what is known about a published image, and attach it to the image.

    python -m release.attestation keygen FOLDER      # release.key and release.pub, where KMS is not
    python -m release.attestation attest REPOSITORY@sha256:DIGEST --key KEY --judgement FILE
    python -m release.attestation verify REPOSITORY@sha256:DIGEST --key release.pub

KEY is a private key (PEM) or `awskms:///alias/NAME`. `attest` refuses a judgement that did not
pass, and an image of another commit or with other models than the judged ones; it does not start
the image. It lists model, data and packages in it as a bill of materials (CycloneDX), which it
signs too. `verify` says what a host would. Exit status: 0 done, 1 refused, with the reason.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from release.attestation import attachment, bill_of_materials, evidence, signing, statement
from release.attestation.evidence import Unproven
from release.attestation.statement import ReleaseRun
from release.deploy.host import DeploymentRefused, oci_registry
from release.deploy.host.admission import newest
from release.image.container_engine import ContainerEngine, ContainerError
from release.steps import run_command
from service.decision.hashes import NotReady
from stages import files, project


def attest(options: argparse.Namespace) -> str:
    """Sign the provenance of an image and of the files beside it, and attach it."""
    image, engine, now = options.image, ContainerEngine(), datetime.now(UTC)
    judged = evidence.read_judgement(options.judgement, options.judgement_sha256)
    contents = evidence.read_files(engine, image, bill_of_materials.FILES)
    models = evidence.hash_models(engine, image, judged, contents)
    bill = bill_of_materials.describe(image, contents, now)
    sign = signing.signer(options.key)
    kept = {path.name: path.read_bytes() for path in options.file}
    kept[options.bom.name] = json.dumps(bill, indent=1).encode()
    digests = {name: sha256(content).hexdigest() for name, content in kept.items()}
    said = statement.provenance(image, judged, models, digests, ReleaseRun.from_environment(), now)
    listed = statement.statement(image, bill_of_materials.PREDICATE, bill)
    files.write_text(options.bom, kept[options.bom.name].decode())
    if options.predicate:
        files.write_text(options.predicate, json.dumps(said["predicate"]))
    envelopes = {signing.envelope(each, sign): each["predicateType"] for each in (said, listed)}
    return f"attested: {attachment.attach(image, envelopes)}"


def verify(options: argparse.Namespace) -> str:
    """Return what is signed about an image, as JSON."""
    envelopes = oci_registry.attestations(options.image)
    _, found = newest(envelopes, options.image.rpartition("@")[2], Path(options.key))
    return json.dumps(asdict(found), indent=1)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="release.attestation", description="Sign a release.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("keygen", help="make a pair of keys")
    making.add_argument("folder", type=project.resolve)
    signing_command = commands.add_parser("attest", help="sign what is known about an image")
    verifying = commands.add_parser("verify", help="print what is signed about an image")
    for command in (signing_command, verifying):
        command.add_argument("image", help="REPOSITORY@sha256:...")
        command.add_argument("--key", required=True)
    signing_command.add_argument("--judgement", type=project.resolve, required=True)
    signing_command.add_argument(
        "--judgement-sha256", help="digest of the judgement, from the job that judged"
    )
    signing_command.add_argument(
        "--file", type=project.resolve, action="append", default=[], help="a file to vouch for"
    )
    signing_command.add_argument(
        "--bom",
        type=project.resolve,
        default=Path("build/model.cdx.json"),
        help="write the bill of materials (CycloneDX) there",
    )
    signing_command.add_argument(
        "--predicate", type=project.resolve, help="write the predicate there, for actions/attest"
    )
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> str:
    """Run a command, and return the text to print."""
    if options.command == "keygen":
        secret, public = signing.generate(options.folder)
        return f"{secret}\n{public}"
    return attest(options) if options.command == "attest" else verify(options)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = parse_arguments(arguments)
    errors = (
        Unproven,
        DeploymentRefused,
        ContainerError,
        NotReady,
        OSError,
        BotoCoreError,
        ClientError,
    )
    return run_command("refused", lambda: run(options), *errors)


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
