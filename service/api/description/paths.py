"""Describe every endpoint in OpenAPI: its request, its answers and its refusals."""

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
    409: "What is recorded or set up does not allow this; the message says why",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "The request breaks the contract; there is one error per field",
    429: "The caller sends more than its rate, or too much waits already",
    503: "No decision can be made or recorded now; the message says why",
}
PROBLEM = "application/problem+json"  # RFC 9457
GET_REFUSALS = (401, 403, 405, 429, 503)
POST_REFUSALS = (400, 408, 413, 415, 422, *GET_REFUSALS)
OPERATIONS = {
    "/predict": ("predict", "Decisions"),
    "/predict_batch": ("predict_batch", "Decisions"),
    "/explain": ("explain", "Decisions"),
    "/overrides": ("override", "Records"),
    "/logs": ("list_decisions", "Records"),
    "/predictions/{id}": ("get_decision", "Records"),
    "/predictions/{id}/receipt": ("get_receipt", "Records"),
    "/cases/{id}": ("get_case", "Records"),
    "/predictions/{id}/letter.html": ("get_letter", "Letters"),
    "/predictions/{id}/letter.pdf": ("get_letter_pdf", "Letters"),
    "/predictions/{id}/explanation.html": ("get_explanation", "Letters"),
    "/predictions/{id}/explanation.pdf": ("get_explanation_pdf", "Letters"),
    "/outcomes": ("report_outcomes", "Monitoring"),
    "/drift-reports": ("list_drift_reports", "Monitoring"),
    "/drift-reports/{id}": ("get_drift_report", "Monitoring"),
    "/model-info": ("describe_model", "Service"),
    "/whoami": ("whoami", "Service"),
    "/health": ("health", "Service"),
    "/readyz": ("readiness", "Service"),
}
"""The operation's identifier and the tag of every path; a path has one method."""
REPEATED: Description = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "A repeated request with the same key gets the recorded answer",
}
PAGE_QUERY = (
    (
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
        "The largest number of entries to list",
    ),
    ("before", {"type": "integer", "minimum": 1}, "List only entries before this sequence number"),
    ("search", {"type": "string"}, "List only decisions that contain each of these words"),
    (
        "reference",
        {"type": "string", "maxLength": 64},
        "List only decisions of the case with this reference",
    ),
)


def paths(example: Description) -> Description:
    """Return the description of every endpoint, with its identifier and its tag."""
    described = endpoints(example)
    for path, methods in described.items():
        for operation in methods.values():
            operation["operationId"], tag = OPERATIONS[path]
            operation["tags"] = [tag]
    return described


def endpoints(example: Description) -> Description:
    """Return the description of every endpoint."""
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    one["description"] = "The identifier that an answer or a list states"
    query = [{"name": n, "in": "query", "schema": s, "description": d} for n, s, d in PAGE_QUERY]
    override = {
        "prediction_id": "0195d2c0-0000-7000-8000-000000000000",
        "decision": "approve",
        "reason": "The applicant has shown further income",
        "author": "A. Officer",
    }
    outcome = {"prediction_id": override["prediction_id"], "bad": 0, "date": "2026-01-31"}
    return {
        "/predict": {
            "post": post(
                "Decide about one application", "Application", example, "Answer", more=(409,)
            )
            | {"parameters": [REPEATED]}
        },
        "/predict_batch": {
            "post": post(
                "Decide about many applications", "Applications", [example], "Rows", more=(409,)
            )
            | {"parameters": [REPEATED]}
        },
        "/explain": {
            "post": post(
                "Explain a decision and what would change it; nothing is recorded",
                "Application",
                example,
                "Explanation",
            )
        },
        "/overrides": {
            "post": post(
                "Record an officer's decision about a referred case",
                "Override",
                override,
                "RecordedOverride",
                201,
                (404, 409),
            )
        },
        "/health": {"get": get("Tell whether decisions can be made and recorded", "Health", ())},
        "/readyz": {
            "get": get("Answer 200 while decisions can be made and recorded", "Ready", (503,))
        },
        "/whoami": {"get": get("Return the caller's name and roles", "CallerInfo", GET_REFUSALS)},
        "/model-info": {
            "get": get(
                "Describe the winner, its metrics and its contract", "ModelInfo", GET_REFUSALS
            )
        },
        "/logs": {
            "get": get(
                "List recent decisions, newest first", "RecentDecisions", (422, *GET_REFUSALS)
            )
            | {"parameters": query}
        },
        "/outcomes": {
            "post": post("Record which loans went bad", "Outcomes", [outcome], "OutcomesRecorded")
        },
        "/drift-reports": {
            "get": get("List drift reports, newest first", "DriftReports", (422, *GET_REFUSALS))
            | {"parameters": query[:2]}
        },
        "/drift-reports/{id}": {
            "get": get("Return one drift report", "DriftReport", (404, *GET_REFUSALS))
            | {"parameters": [one]}
        },
        "/cases/{id}": {
            "get": get(
                "Return the decisions of the case with this reference, newest first",
                "CaseDecisions",
                (404, *GET_REFUSALS),
            )
            | {"parameters": [one | {"description": "The reference of the case"}]}
        },
        "/predictions/{id}": {
            "get": get(
                "Return one decision with its overrides and outcomes",
                "RecordedDecision",
                (404, *GET_REFUSALS),
            )
            | {"parameters": [one]}
        },
        "/predictions/{id}/receipt": {
            "get": get(
                "Prove that an entry stands in the ledger that witnesses have seen",
                "Receipt",
                (404, *GET_REFUSALS),
            )
            | {"parameters": [one]}
        },
        "/predictions/{id}/explanation.html": {
            "get": page("Explain a decision to the applicant", "text/html") | {"parameters": [one]}
        },
        "/predictions/{id}/explanation.pdf": {
            "get": page("Return that explanation as PDF", "application/pdf") | {"parameters": [one]}
        },
        "/predictions/{id}/letter.html": {
            "get": page("Return the letter to the applicant about a decision", "text/html")
            | {"parameters": [one]}
        },
        "/predictions/{id}/letter.pdf": {
            "get": page("Return that letter as PDF", "application/pdf") | {"parameters": [one]}
        },
    }


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
    example: Any,
    shape: str,
    status: int = 200,
    more: tuple[int, ...] = (),
) -> Description:
    """Return the description of a POST endpoint."""
    content = {"schema": {"$ref": REF.format(model=body)}, "example": example}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": responses(shape, status, (*POST_REFUSALS, *more)),
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
