"""Admit an image to this host before anything of it is pulled: signed, judged, and not older."""

from __future__ import annotations

from pathlib import Path

from release.deploy.host import DeploymentRefused, attestation, oci_registry
from release.deploy.host.attestation import Evidence
from release.deploy.host.files import DeploymentState, replace_text
from release.deploy.host.settings import HostSettings


def admit(image: str, settings: HostSettings, state: DeploymentState, *, older: bool) -> Evidence:
    """Return what is signed about REPOSITORY@DIGEST, and keep the envelope for a roll-back.

    Raises DeploymentRefused when the image is unsigned or unjudged, or, unless `older` images are
    asked for, when it was released before the live one.
    """
    digest = image.rpartition("@")[2]
    kept = state.attestation(digest)
    envelopes = [kept.read_bytes()] if kept.exists() else oci_registry.attestations(image)
    envelope, evidence = newest(envelopes, digest, settings.release_key)
    before = live_evidence(state)
    if before and evidence.released < before.released and not older:
        raise DeploymentRefused(
            f"it was released at {evidence.released}, and the live one at {before.released}: "
            "ask for a roll-back by `--older allow`"
        )
    kept.parent.mkdir(parents=True, exist_ok=True)
    replace_text(kept, envelope.decode())
    return evidence


def newest(envelopes: list[bytes], digest: str, keys: Path) -> tuple[bytes, Evidence]:
    """Return the newest provenance among the envelopes that hold, and what it says."""
    valid, faults = [], []
    for envelope in envelopes:
        try:
            valid.append((envelope, attestation.verify(envelope, digest, keys)))
        except DeploymentRefused as refusal:
            faults.append(str(refusal))
    if not valid:
        reasons = "; ".join(dict.fromkeys(faults)) or "nothing is attached to it"
        raise DeploymentRefused(f"no attestation permits starting it: {reasons}")
    return max(valid, key=lambda each: each[1].released)


def live_evidence(state: DeploymentState) -> Evidence | None:
    """Return what was verified about the live image, None where there is none or it was not."""
    live = state.releases()["live"]
    digest = live.image.rpartition("@")[2] if live else ""
    kept = state.attestation(digest)
    if not live or not kept.exists():
        return None
    return attestation.read(attestation.open_envelope(kept.read_bytes())[1], digest)
