"""Read what is attached to an image in its OCI registry, as cosign attaches attestations.

The attestations of `sha256:abc` are the layers of the manifest tagged `sha256-abc.att`. The login
is that of the container engine: `auths` or `credHelpers` in its `config.json`, or none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from release.deploy.host import DeploymentRefused

ENVELOPE = "application/vnd.dsse.envelope.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MAX_BYTES = 16 * 2**20
TIMEOUT = 30.0


class RegistryAnswer(NamedTuple):
    """The answer of a registry; `location` is where an upload goes on."""

    status: int
    body: bytes
    location: str


def attestations(image: str) -> list[bytes]:
    """Return the envelopes that are attached to REPOSITORY@DIGEST, without verifying them."""
    repository, _, digest = image.rpartition("@")
    answer = request("GET", repository, f"manifests/{attachment(digest)}", {"Accept": MANIFEST})
    if answer.status == 404:
        return []
    if answer.status != 200:
        raise DeploymentRefused(
            f"the registry answers {answer.status} about the attestation of {image}"
        )
    try:
        layers = json.loads(answer.body)["layers"]
        digests = [str(each["digest"]) for each in layers if each["mediaType"] == ENVELOPE]
    except (ValueError, KeyError, TypeError):
        raise DeploymentRefused(f"the attestation of {image} is no OCI manifest") from None
    return [blob(repository, each) for each in digests]


def attachment(digest: str) -> str:
    """Return the tag of the attestations of an image."""
    return f"{digest.replace(':', '-')}.att"


def blob(repository: str, digest: str) -> bytes:
    """Return a blob; raises DeploymentRefused unless it has the digest."""
    answer = request("GET", repository, f"blobs/{digest}")
    if answer.status != 200 or f"sha256:{hashlib.sha256(answer.body).hexdigest()}" != digest:
        raise DeploymentRefused(
            f"the registry does not give the blob {digest} (status {answer.status})"
        )
    return answer.body


def request(
    method: str,
    repository: str,
    path: str,
    headers: dict[str, str] | None = None,
    content: bytes | None = None,
) -> RegistryAnswer:
    """Ask the registry about a repository; `path` follows /v2/NAME/, or is a whole address."""
    host, _, name = repository.partition("/")
    start = origin(host)
    whole = path.startswith((f"{start.partition(':')[0]}://", "https://"))
    address = path if whole else f"{start}/v2/{name}/{path}"
    asked = urllib.request.Request(address, content, headers or {}, method=method)  # noqa: S310
    login = credentials(host)
    if login:  # a redirection, which leads to another host, does not get it
        asked.add_unredirected_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:  # noqa: S310
            body = answer.read(MAX_BYTES + 1)
            location = answer.headers.get("Location", "")
    except urllib.error.HTTPError as error:
        return RegistryAnswer(error.code, error.read(MAX_BYTES), "")
    except OSError as error:
        raise DeploymentRefused(
            f"the registry {host} cannot be asked for attestations: {error}"
        ) from None
    if len(body) > MAX_BYTES:
        raise DeploymentRefused(f"an attestation must have at most {MAX_BYTES} bytes")
    return RegistryAnswer(answer.status, body, location)


def origin(host: str) -> str:
    """Return the address of a registry: engines ask one on this machine without TLS; so do we."""
    is_local = host.split(":", maxsplit=1)[0] in ("localhost", "127.0.0.1")
    return f"{'http' if is_local else 'https'}://{host}"


def credentials(host: str) -> str:
    """Return USER:PASSWORD in base64 for a registry, "" where the engine has no login for it."""
    folder = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"))
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return ""
    stored = config.get("auths", {}).get(host, {}).get("auth", "")
    helper = config.get("credHelpers", {}).get(host) or config.get("credsStore")
    if stored or not helper:
        return str(stored)
    command = [f"docker-credential-{helper}", "get"]
    try:
        done = subprocess.run(
            command, input=host, capture_output=True, text=True, timeout=60, check=True
        )
        login = json.loads(done.stdout)
        return base64.b64encode(f"{login['Username']}:{login['Secret']}".encode()).decode()
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise DeploymentRefused(
            f"docker-credential-{helper} gives no login for {host}: {error}"
        ) from None
