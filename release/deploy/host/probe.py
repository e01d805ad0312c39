"""Ask a service over HTTP whether it is ready, and which model it serves."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any

from release.deploy.host import DeploymentRefused

TIMEOUT = 5.0


def get(address: str, path: str, key: str = "") -> tuple[int, bytes]:
    """Return status and body of `GET path` at `address` (HOST:PORT); status 0 without an answer."""
    connection = HTTPConnection(address, timeout=TIMEOUT)
    try:
        connection.request("GET", path, headers={"x-api-key": key} if key else {})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException) as error:
        return 0, str(error).encode()
    finally:
        connection.close()


def is_ready(address: str) -> bool:
    """Tell whether the service states that it can take requests."""
    return get(address, "/readyz")[0] == 200


def model_info(address: str, key: str = "") -> dict[str, Any]:
    """Return the `identity` and `golden` of `/model-info`.

    Raises DeploymentRefused when they are missing.
    """
    status, body = get(address, "/model-info", key)
    try:
        info = json.loads(body)
        return {"identity": dict(info["identity"]), "golden": dict(info["golden"])}
    except (ValueError, KeyError, TypeError):
        raise DeploymentRefused(
            f"{address}/model-info must tell identity and golden; got {status} {body[:200]!r}"
        ) from None


def early_fault(address: str, key: str = "") -> str:
    """Return why a service can never become ready (its golden records differ), else ""."""
    try:
        info = model_info(address, key)
    except DeploymentRefused:
        return ""
    return golden_fault(info) if info["golden"].get("identical") is False else ""


def golden_fault(info: dict[str, Any]) -> str:
    """Return the fault of the golden records, "" when each one scores identically."""
    golden = info["golden"]
    if golden.get("identical") is True and golden.get("records", 0) > 0:
        return ""
    return f"the golden records do not score identically: {golden}"
