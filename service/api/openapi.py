"""The OpenAPI description of what the service really answers, made from the contract.

BentoML's own description knows neither the GET endpoints nor the refusals, so this one is served in
its place.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api import schemas
from service.decision.applications import Applications

REF = "#/components/schemas/{model}"
SHAPES: tuple[type[BaseModel], ...] = (
    schemas.Answer,
    schemas.DriftReport,
    schemas.DriftReports,
    schemas.Errors,
    schemas.Explanation,
    schemas.Health,
    schemas.ModelInfo,
    schemas.Outcome,
    schemas.OutcomesRecorded,
    schemas.Overridden,
    schemas.Override,
    schemas.Page,
    schemas.Ready,
    schemas.Record,
    schemas.Rows,
)
REFUSALS = {
    400: "The body is no JSON",
    401: "An API key is needed",
    404: "There is none by this name",
    405: "Another method is needed",
    408: "The body did not come in time",
    409: "The case cannot be overridden",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "The request breaks the contract: one message a field",
    503: "No decision can be made or recorded now, and why",
}
ASKED = (401, 405, 503)
SENT = (400, 408, 413, 415, 422, *ASKED)
PAGE_QUERY = (
    ("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "How many"),
    ("before", {"type": "integer", "minimum": 1}, "Only entries before this sequence number"),
    ("search", {"type": "string"}, "Words that must be in the decision"),
)


def document(requests: Applications | None, max_batch: int, keys: bool) -> dict[str, Any]:
    """The whole description; `requests` is None where no model tells what an application is."""
    application = requests.schema() if requests else {"type": "object"}
    example = requests.example if requests else {}
    _, shapes = models_json_schema([(s, "serialization") for s in SHAPES], ref_template=REF)
    schemas: dict[str, Any] = {**shapes["$defs"], "Application": application}
    schemas["Outcomes"] = {
        "type": "array",
        "items": {"anyOf": [{"$ref": REF.format(model="Outcome")}, {"type": "object"}]},
        "description": "Outcomes; one that cannot be recorded is refused on its own.",
        "minItems": 1,
        "maxItems": max_batch,
    }
    schemas["Applications"] = {
        "type": "array",
        "items": {"anyOf": [{"$ref": REF.format(model="Application")}, {}]},
        "description": "Applications; one that breaks the contract is refused on its own.",
        "minItems": 1,
        "maxItems": max_batch,
    }
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Credit decisions",
            "version": "1",
            "description": "Probability of default, decision and reasons; every decision is kept.",
        },
        "paths": paths(example),
        "components": {"schemas": schemas},
    }
    if keys:
        scheme = {"type": "apiKey", "in": "header", "name": "x-api-key"}
        described["components"] = {"schemas": schemas, "securitySchemes": {"key": scheme}}
        described["security"] = [{"key": []}]
    return described


def paths(example: dict[str, Any]) -> dict[str, Any]:
    """Every endpoint."""
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    query = [{"name": n, "in": "query", "schema": s, "description": d} for n, s, d in PAGE_QUERY]
    wish = {
        "prediction_id": "0195d2c0-0000-7000-8000-000000000000",
        "decision": "approve",
        "reason": "The applicant has shown further income",
        "author": "A. Officer",
    }
    known = {"prediction_id": wish["prediction_id"], "bad": 0, "date": "2026-01-31"}
    return {
        "/predict": {
            "post": sends("Decide about one application", "Application", example, "Answer")
        },
        "/predict_batch": {
            "post": sends("Decide about many applications", "Applications", [example], "Rows")
        },
        "/explain": {
            "post": sends(
                "Say why, and what would change it", "Application", example, "Explanation"
            )
        },
        "/overrides": {
            "post": sends(
                "Record an officer's decision about a referred case",
                "Override",
                wish,
                "Overridden",
                201,
                (404, 409),
            )
        },
        "/health": {"get": asks("Whether decisions are made now", "Health", ())},
        "/readyz": {"get": asks("200 while decisions can be made and recorded", "Ready", (503,))},
        "/model-info": {
            "get": asks("The winner, its figures and its contract", "ModelInfo", ASKED)
        },
        "/logs": {
            "get": asks("Recent decisions, newest first", "Page", (422, *ASKED))
            | {"parameters": query}
        },
        "/outcomes": {
            "post": sends("Record what became of loans", "Outcomes", [known], "OutcomesRecorded")
        },
        "/drift-reports": {
            "get": asks("Drift reports, newest first", "DriftReports", (422, *ASKED))
            | {"parameters": query[:2]}
        },
        "/drift-reports/{id}": {
            "get": asks("One drift report", "DriftReport", (404, *ASKED)) | {"parameters": [one]}
        },
        "/predictions/{id}": {
            "get": asks("One decision with its overrides and outcomes", "Record", (404, *ASKED))
            | {"parameters": [one]}
        },
    }


def asks(summary: str, shape: str, refused: tuple[int, ...]) -> dict[str, Any]:
    """A GET endpoint."""
    return {"summary": summary, "responses": responses(shape, 200, refused)}


def sends(
    summary: str,
    body: str,
    example: Any,
    shape: str,
    status: int = 200,
    more: tuple[int, ...] = (),
) -> dict[str, Any]:
    """A POST endpoint."""
    content = {"schema": {"$ref": REF.format(model=body)}, "example": example}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": responses(shape, status, (*SENT, *more)),
    }


def responses(shape: str, status: int, refused: tuple[int, ...]) -> dict[str, Any]:
    """What may come back."""
    told = {str(code): answer(REFUSALS[code], "Errors") for code in sorted({405, *refused})}
    return {str(status): answer("The answer", shape), **told}


def answer(description: str, shape: str) -> dict[str, Any]:
    """One response."""
    content = {"application/json": {"schema": {"$ref": REF.format(model=shape)}}}
    return {"description": description, "content": content}
