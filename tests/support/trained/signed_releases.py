"""Releases that are signed with a key of the tests, and a registry that keeps attestations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from release.attestation import attachment, signing, statement
from release.attestation.evidence import PassedJudgement
from release.attestation.statement import ReleaseRun
from release.deploy.host.attestation import MODEL, PROVENANCE

COMMIT = "c" * 40
RUN = ReleaseRun("https://github.com/lender/credit", ".github/workflows/release.yml", "main", "1")


@dataclass(frozen=True)
class Releases:
    """Signs releases with the key in a folder."""

    secret: Path
    public: Path

    @classmethod
    def with_new_key(cls, folder: Path) -> Releases:
        """Return what signs with a new key in the folder."""
        return cls(*signing.generate(folder))

    def statement(
        self,
        image: str,
        *,
        commit: str = COMMIT,
        model: str = sha256(b"model").hexdigest(),
        released: str = "2026-11-20T12:00:00",
    ) -> dict[str, Any]:
        """Return a statement about REPOSITORY@DIGEST as a release words it."""
        judged = PassedJudgement(sha256(b"judgement").hexdigest(), None, commit, {MODEL: model})
        when = datetime.fromisoformat(released).replace(tzinfo=UTC)
        return statement.provenance(image, judged, judged.models, {}, RUN, when)

    def sign(self, claim: dict[str, Any]) -> bytes:
        """Return the envelope of a statement."""
        return signing.envelope(claim, signing.signer(str(self.secret)))

    def envelope(self, image: str, **facts: str) -> bytes:
        """Return the envelope of a release."""
        return self.sign(self.statement(image, **facts))

    def attach(self, image: str, **facts: str) -> None:
        """Sign a release and attach the envelope to the image in its registry."""
        attachment.attach(image, {self.envelope(image, **facts): PROVENANCE})


def payload(envelope: bytes) -> dict[str, Any]:
    """Return an envelope as data, to be changed."""
    content: dict[str, Any] = json.loads(envelope)
    return content
