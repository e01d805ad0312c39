"""Describe the API in OpenAPI, with the applications of the present contract.

BentoML's own description lacks the GET endpoints and the error answers, so this one replaces it.
"""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api import cases
from service.api.description.operations import REF, Description
from service.api.description.paths import OPERATIONS, paths
from service.api.description.schemas import decisions, monitoring, parts, records, review, service
from service.decision.applications import Applications

SHAPES: tuple[type[BaseModel], ...] = (
    decisions.Answer,
    monitoring.DriftReport,
    monitoring.DriftReports,
    service.CallerInfo,
    parts.Errors,
    decisions.Explanation,
    service.Health,
    service.ModelInfo,
    monitoring.Outcome,
    monitoring.OutcomesRecorded,
    records.OpenReferrals,
    review.Approval,
    review.Note,
    review.Override,
    review.RecordedApproval,
    review.RecordedNote,
    review.RecordedOverride,
    service.Ready,
    records.Receipt,
    records.CaseDecisions,
    records.RecentDecisions,
    records.RecordedDecision,
    decisions.BatchRows,
)

REFERENCE: Description = {
    "anyOf": [{"type": "string", "minLength": 1, "maxLength": cases.LONGEST}, {"type": "null"}],
    "default": None,
    "title": "Reference",
    "description": "The lender's application number. Decisions with the same one are one case.",
}


def describe(applications: Applications | None, max_batch: int, keys: bool) -> Description:
    """Return the OpenAPI description; `applications` is None when no model is loaded.

    `keys` tells whether requests need an API key or a token.
    """
    application = describe_application(applications) if applications else {"type": "object"}
    example = applications.example if applications else {}
    _, shapes = models_json_schema([(s, "serialization") for s in SHAPES], ref_template=REF)
    schemas: Description = {**shapes["$defs"], "Application": application}
    schemas["Outcomes"] = {
        "type": "array",
        "items": {"anyOf": [{"$ref": REF.format(model="Outcome")}, {"type": "object"}]},
        "description": "Outcomes; each is recorded or refused separately.",
        "minItems": 1,
        "maxItems": max_batch,
    }
    schemas["Applications"] = {
        "type": "array",
        "items": {"anyOf": [{"$ref": REF.format(model="Application")}, {}]},
        "description": "Applications; each is answered or refused separately.",
        "minItems": 1,
        "maxItems": max_batch,
    }
    described: Description = {
        "openapi": "3.1.0",
        "info": {
            "title": "Credit decisions",
            "version": "1",
            "description": "Probability of default, decision and reasons for loan applications. "
            "Every decision is recorded before it is answered.",
        },
        # The paths without a version are aliases for one release.
        "servers": [{"url": "./v1", "description": "This service"}],
        "tags": [{"name": name} for name in dict.fromkeys(tag for _, tag in OPERATIONS.values())],
        "paths": paths(example),
        "components": {"schemas": schemas},
    }
    if keys:
        schemes = {
            "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        }
        described["components"] = {"schemas": schemas, "securitySchemes": schemes}
        described["security"] = [{"key": []}, {"token": []}]
    return described


def describe_application(applications: Applications) -> Description:
    """Return the JSON schema of an application, with the reference of its case."""
    schema = applications.schema()
    if cases.NAME not in applications.names:
        schema["properties"] = {**schema["properties"], cases.NAME: REFERENCE}
    return schema
