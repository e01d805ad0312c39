"""Describe one operation in OpenAPI: its request, its answers and its refusals."""

from __future__ import annotations

from typing import Any

Description = dict[str, Any]
"""A part of an OpenAPI document as a JSON object."""
REF = "#/components/schemas/{model}"
REFUSALS = {
    400: "The body is not JSON",
    401: "The request has no valid API key or token",
    403: "The caller lacks the role, or the host or the origin is not admitted",
    404: "There is no such path or identifier",
    405: "The endpoint does not support this method",
    408: "The body did not arrive in time",
    409: "The recorded state or the configuration does not allow this; the message says why",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "The request breaks the contract; there is one error per field",
    429: "The caller sends more than its rate, or too much waits already",
    503: "No decision can be made or recorded now; the message says why",
}
PROBLEM = "application/problem+json"  # RFC 9457
GET_REFUSALS = (401, 403, 405, 429, 503)
POST_REFUSALS = (400, 408, 413, 415, 422, *GET_REFUSALS)


def page(summary: str, media_type: str) -> Description:
    """Return the description of a GET endpoint whose answer is no JSON."""
    described = get(summary, "Errors", (404, 409, *GET_REFUSALS))
    described["responses"]["200"] = {
        "description": "The answer",
        "content": {media_type: {"schema": {"type": "string"}}},
    }
    return described


def get(summary: str, shape: str, refused: tuple[int, ...]) -> Description:
    """Return the description of a GET endpoint."""
    return {"summary": summary, "responses": responses(shape, 200, refused)}


def post(
    summary: str,
    body: str,
    example: object,
    shape: str,
    status: int = 200,
    more: tuple[int, ...] = (),
    pending: int | None = None,
) -> Description:
    """Return the description of a POST endpoint; `pending` is a second status of its answers."""
    content = {"schema": {"$ref": REF.format(model=body)}, "example": example}
    described = responses(shape, status, (*POST_REFUSALS, *more))
    if pending is not None:
        described[str(pending)] = answer("The answer, which another must approve", shape)
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": described,
    }


def responses(shape: str, status: int, refused: tuple[int, ...]) -> Description:
    """Return the descriptions of all answers of an endpoint."""
    refusals = {
        str(code): answer(REFUSALS[code], "Errors", PROBLEM)
        for code in sorted({403, 405, *refused})
    }
    return {str(status): answer("The answer", shape), **refusals}


def answer(description: str, shape: str, media_type: str = "application/json") -> Description:
    """Return the description of one answer, whose body has the schema `shape`."""
    content = {media_type: {"schema": {"$ref": REF.format(model=shape)}}}
    return {"description": description, "content": content}
