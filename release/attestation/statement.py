"""Word what is known about an image as an in-toto statement with SLSA provenance (v1)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from release.attestation.evidence import PassedJudgement
from release.deploy.host.attestation import JUDGEMENT, PROVENANCE, STATEMENT_TYPE

# The type that GitHub's own attestations of builds have, with its fields.
BUILD_TYPE = "https://actions.github.io/buildtypes/workflow/v1"


@dataclass(frozen=True)
class ReleaseRun:
    """The run of a workflow that releases; or the machine of whoever releases by hand."""

    repository: str
    workflow: str
    ref: str
    invocation: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ReleaseRun:
        """Return the run that GitHub's variables describe."""
        server = environment.get("GITHUB_SERVER_URL", "https://localhost")
        repository = f"{server}/{environment.get('GITHUB_REPOSITORY', 'by-hand')}"
        named = environment.get("GITHUB_WORKFLOW_REF", "//by-hand@HEAD")
        path, _, ref = named.partition("@")
        run = environment.get("GITHUB_RUN_ID", "0")
        attempt = environment.get("GITHUB_RUN_ATTEMPT", "1")
        invocation = f"{repository}/actions/runs/{run}/attempts/{attempt}"
        return cls(repository, "/".join(path.split("/")[2:]), ref, invocation)


def predicate(
    judged: PassedJudgement,
    models: dict[str, str],
    files: dict[str, str],
    run: ReleaseRun,
    released: datetime,
) -> dict[str, Any]:
    """Return the provenance of an image of the judged commit with these model files.

    `files` are further files that are kept with the release, by name, with their SHA-256.
    """
    inputs = [{"name": name, "digest": {"sha256": digest}} for name, digest in models.items()]
    notes = {"verdict": "pass", "base": judged.base or "", "head": judged.head}
    judgement = {"name": JUDGEMENT, "digest": {"sha256": judged.sha256}, "annotations": notes}
    others = [{"name": name, "digest": {"sha256": digest}} for name, digest in files.items()]
    workflow = {"ref": run.ref, "repository": run.repository, "path": run.workflow}
    source = {
        "uri": f"git+{run.repository}@{run.ref}",
        "digest": {"gitCommit": judged.head},
    }
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"workflow": workflow},
            "internalParameters": {},
            "resolvedDependencies": [source, *inputs],
        },
        "runDetails": {
            "builder": {"id": f"{run.repository}/{run.workflow}@{run.ref}"},
            "metadata": {
                "invocationId": run.invocation,
                "finishedOn": released.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "byproducts": [judgement, *others],
        },
    }


def statement(image: str, predicate_type: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the statement of a predicate type about REPOSITORY@DIGEST, its one subject."""
    repository, _, digest = image.rpartition("@")
    algorithm, _, value = digest.partition(":")
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": repository, "digest": {algorithm: value}}],
        "predicateType": predicate_type,
        "predicate": content,
    }


def provenance(
    image: str,
    judged: PassedJudgement,
    models: dict[str, str],
    files: dict[str, str],
    run: ReleaseRun,
    released: datetime,
) -> dict[str, Any]:
    """Return the statement that a host asks for before it starts REPOSITORY@DIGEST."""
    return statement(image, PROVENANCE, predicate(judged, models, files, run, released))
