"""Describe every endpoint in OpenAPI: its request, its answers and its refusals."""

from __future__ import annotations

from service.api.description.operations import GET_REFUSALS, Description, get, page, post
from service.api.description.queries import (
    FILTER_QUERY,
    PAGE_QUERY,
    QUEUE_QUERY,
    as_parameters,
)

OPERATIONS = {
    "/predict": ("predict", "Decisions"),
    "/predict_batch": ("predict_batch", "Decisions"),
    "/explain": ("explain", "Decisions"),
    "/overrides": ("override", "Review"),
    "/approvals": ("answer_proposal", "Review"),
    "/notes": ("add_note", "Review"),
    "/queue": ("list_open_referrals", "Review"),
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
    query = as_parameters(PAGE_QUERY)
    override = {
        "prediction_id": "0195d2c0-0000-7000-8000-000000000000",
        "decision": "approve",
        "reason": "The applicant has shown further income",
        "author": "A. Officer",
    }
    note = {
        "prediction_id": override["prediction_id"],
        "text": "Called the applicant",
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
                "Decide about many applications",
                "Applications",
                [example],
                "BatchRows",
                more=(409,),
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
                "Record an officer's decision about a referred case; 202: another must approve it",
                "Override",
                override,
                "RecordedOverride",
                201,
                (404, 409),
                202,
            )
        },
        "/approvals": {
            "post": post(
                "Approve or reject, as a second officer, what another has proposed",
                "Approval",
                {
                    "proposal_id": override["prediction_id"],
                    "approved": True,
                    "author": "B. Officer",
                },
                "RecordedApproval",
                201,
                (404, 409),
            )
        },
        "/notes": {
            "post": post("Add a note about a decision", "Note", note, "RecordedNote", 201, (404,))
        },
        "/queue": {
            "get": get(
                "List open referrals, those that wait longest first",
                "OpenReferrals",
                (409, 422, *GET_REFUSALS),
            )
            | {"parameters": as_parameters(QUEUE_QUERY)}
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
            | {"parameters": [*query, *as_parameters(FILTER_QUERY)]}
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
