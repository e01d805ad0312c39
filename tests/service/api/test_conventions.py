"""The API keeps the conventions that clients know: versions, problem details, identifiers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.api.handlers.api import Api
from service.ledger import Ledger
from tests.support.api_client import JSON, KEY, Client, client_of


def test_every_path_has_a_version_and_an_alias(client: Client, api: Api, case: Any) -> None:
    assert client.post("/v1/predict", json=case("approve")).status_code == 200
    for path, methods in api.routes.items():
        for method in methods:
            where = path.replace("{id}", "1")
            versioned, alias = (client.request(method, f"{v}{where}") for v in ("/v1", ""))
            assert versioned.status_code == alias.status_code, path
            assert versioned.headers["content-type"] == alias.headers["content-type"]
    assert client.get("/v2/health").status_code == 404
    assert client.get("/v1/v1/health").status_code == 404


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/logs", "/v1/docs", "/v1/model-info"])
def test_a_version_does_not_go_round_the_key(api: Api, path: str) -> None:
    client = client_of(api, keys=(KEY,))
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"x-api-key": KEY}).status_code != 401
    assert client.get("/v1/readyz").status_code == 200


def test_a_misspelt_parameter_is_named_with_those_that_there_are(client: Client) -> None:
    problem = client.get("/v1/logs?limit=5&serach=Miller").json()["errors"][0]
    assert problem["field"] == "query"
    assert problem["allowed"] == (
        "one of limit, before, search, reference, decision, rating, officer, since, until"
    )
    assert problem["got"] == "serach"


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("POST", "/predict", {"content": b"{", "headers": JSON}, 400, "malformed"),
        ("POST", "/predict", {"json": {}}, 422, "missing"),
        ("POST", "/predict", {"json": []}, 422, "object"),
        ("POST", "/predict", {"content": b"{}"}, 415, "unsupported_media_type"),
        ("GET", "/predict", {}, 405, "method_not_allowed"),
        ("GET", "/nothing", {}, 404, "not_found"),
        ("GET", "/logs?limit=x", {}, 422, "invalid"),
        ("GET", "/logs?serach=Miller", {}, 422, "invalid"),
        ("GET", "/drift-reports?search=a", {}, 422, "invalid"),
        ("POST", "/overrides", {"json": {}}, 422, "missing"),
        ("GET", "/health", {"headers": {"host": "evil.example"}}, 403, "not_allowed"),
    ],
)
def test_a_refusal_is_a_problem_of_rfc_9457(
    client: Client, method: str, path: str, options: Any, status: int, code: str
) -> None:
    answer = client.request(method, path, **options)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.keys() == {"type", "title", "status", "detail", "errors"}
    assert (answer.status_code, problem["status"], problem["type"]) == (
        status,
        status,
        "about:blank",
    )
    assert problem["detail"]
    first = problem["errors"][0]
    assert first.keys() == {"field", "message", "allowed", "got", "code"}
    assert first["code"] == code


def test_each_field_has_a_code_for_programs(client: Client, ledger: Ledger) -> None:
    wrong = {"amount": 1, "purpose": "boat", "months": "x", "color": 1}
    errors = client.post("/predict", json=wrong).json()["errors"]
    assert {error["field"]: error["code"] for error in errors} == {
        "amount": "bounds",
        "purpose": "category",
        "months": "type",
        "color": "unknown",
    }
    rows = client.post("/predict_batch", json=[wrong]).json()["results"]
    assert {error["code"] for error in rows[0]["errors"]} == {
        "bounds",
        "category",
        "type",
        "unknown",
    }


def test_operations_have_identifiers_and_tags(client: Client, api: Api) -> None:
    document = client.get("/docs.json").json()
    operations = [o for methods in document["paths"].values() for o in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z][a-z_]+", name) for name in names)
    tags = {tag["name"] for tag in document["tags"]}
    assert {tag for operation in operations for tag in operation["tags"]} == tags
    assert document["servers"][0]["url"] == "./v1"


def test_bodies_may_stand_under_the_name_of_their_argument(client: Client, case: Any) -> None:
    """So BentoML's clients send them."""
    wrapped = client.post("/predict", json={"application": case("refer")}).json()
    flat = client.post("/predict", json=case("refer")).json()
    assert wrapped["default_probability"] == flat["default_probability"]
    rows = client.post("/predict_batch", json={"applications": [case("refer")]}).json()["results"]
    assert rows[0]["decision"]["decision"] == "refer"
    wish = {"decision": "approve", "reason": "r", "author": "a"}
    override = wish | {"prediction_id": flat["prediction_id"]}
    assert client.post("/overrides", json={"override": override}).status_code == 201
    both = {"application": case("refer"), "amount": 1}
    assert client.post("/predict", json=both).status_code == 422
