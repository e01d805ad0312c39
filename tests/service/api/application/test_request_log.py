"""Every answer has an identifier and a line of JSON, which says nothing of an applicant."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from service.api.access.authentication import Access
from service.api.application.asgi import Application
from service.api.application.request_log import RequestLog
from service.api.handlers.api import Api
from service.users.api_keys import KeyRing
from tests.support.api_client import Client, client_of, inner


@pytest.fixture
def logged(api: Api) -> Client:
    access = Access(KeyRing([sha256(b"key").digest()]))
    return Client(Application(inner, lambda: api.routes, access, 4000, log=RequestLog(is_on=True)))


def test_a_line_names_the_request_and_its_answer(
    logged: Client, case: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    headers = {"x-api-key": "key", "x-request-id": "the-clients.own_1"}
    answer = logged.post("/v1/predict", json=case("approve"), headers=headers)
    assert answer.headers["x-request-id"] == "the-clients.own_1"
    (line,) = map(json.loads, capfd.readouterr().out.splitlines())
    assert line.pop("time").endswith("+00:00")
    assert 0 < line.pop("milliseconds") < 60_000
    assert line.pop("caller")
    assert line == {
        "event": "request",
        "request_id": "the-clients.own_1",
        "method": "POST",
        "endpoint": "/predict",
        "status": 200,
    }


@pytest.mark.parametrize("given", ["", "x" * 65, "two words", 'quote"', "new\u00e9"])
def test_a_strange_identifier_is_replaced(client: Client, given: str) -> None:
    answer = client.get("/health", headers={"x-request-id": given.encode()})
    assert len(answer.headers["x-request-id"]) == 16
    assert answer.headers["x-request-id"] != client.get("/health").headers["x-request-id"]


def test_no_line_holds_anything_of_an_applicant(
    logged: Client, case: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    key = {"x-api-key": "key"}
    secret = "Jane-Doe-1980"
    application = case("refer") | {"reference": secret}
    answer = logged.post("/predict", json=application, headers=key)
    prediction = answer.json()["prediction_id"]
    bad = application | {"purpose": secret, secret: secret}
    asked = [
        logged.post("/predict", json=bad, headers=key),
        logged.post("/predict_batch", json=[bad, application], headers=key),
        logged.post("/explain", json=bad, headers=key),
        logged.get(f"/cases/{secret}", headers=key),
        logged.get(f"/logs?search={secret}&reference={secret}", headers=key),
        logged.get(f"/{secret}", headers=key),
        logged.get(f"/predictions/{prediction}", headers=key),
        logged.get(f"/predictions/{secret}", headers=key | {"x-request-id": "a b"}),
        logged.get("/logs", headers={"x-api-key": "a wrong key"}),
    ]
    captured = capfd.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    statuses = [line["status"] for line in lines if line["event"] == "request"]
    assert statuses == [200, *(each.status_code for each in asked)]
    for text in (captured.out, captured.err):
        assert secret not in text
        assert prediction not in text
        assert not any(str(value) in text for value in application.values() if len(str(value)) > 4)


def test_without_the_setting_nothing_is_logged(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    assert client_of(api).get("/health").headers["x-request-id"]
    assert capfd.readouterr().out == ""
