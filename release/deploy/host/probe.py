"""Ask a service over HTTP: is it ready, and which model is it?"""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any

from release.deploy.host import Refused

TIMEOUT = 5.0


def get(address: str, path: str, key: str = "") -> tuple[int, bytes]:
    """Status and body of `GET path` at `address` (`host:port`); status 0 when nothing answers."""
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
    """Whether the service says that it can take requests."""
    return get(address, "/readyz")[0] == 200


def model_info(address: str, key: str = "") -> dict[str, Any]:
    """`{"identity": {...}, "golden": {...}}` of the service; `Refused` when it cannot tell."""
    status, body = get(address, "/model-info", key)
    try:
        info = json.loads(body)
        return {"identity": dict(info["identity"]), "golden": dict(info["golden"])}
    except (ValueError, KeyError, TypeError):
        raise Refused(
            f"{address}/model-info must tell identity and golden; got {status} {body[:200]!r}"
        ) from None


def early_fault(address: str, key: str = "") -> str:
    """Why a service that is not ready will never be: its golden records differ; else empty."""
    try:
        info = model_info(address, key)
    except Refused:
        return ""
    return golden_fault(info) if info["golden"].get("identical") is False else ""


def golden_fault(info: dict[str, Any]) -> str:
    """Why the golden records do not hold, or an empty string when every one scores identically."""
    golden = info["golden"]
    if golden.get("identical") is True and golden.get("records", 0) > 0:
        return ""
    return f"the golden records do not score identically: {golden}"
