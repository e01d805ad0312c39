"""What strangers send: each case was accepted, or answered with a 5xx, before it was refused."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.access.authentication import Access
from service.api.application.asgi import Application
from service.api.handlers.api import Api
from service.ledger import Ledger
from tests.support.api_client import JSON, KEY, Client, client_of, errors, inner


def post(client: Client, path: str, body: bytes | str, **headers: str) -> httpx.Response:
    return client.post(path, content=body, headers=JSON | headers)


@pytest.mark.parametrize(
    "body",
    [
        '{"amount": 5000, "purpose": "car", "amount": 100}',
        '{"purpose": "car:home", "amount": 5000, "amount": 100}',
        '{"amount": 5000, "purpose": "car", "\\u0061mount": 100}',
        '[{"amount": 5000, "purpose": "car", "amount": 100}]',
    ],
)
def test_a_field_that_comes_twice_is_refused_by_its_name(
    client: Client, ledger: Ledger, body: str
) -> None:
    answer = post(client, "/predict_batch" if body.startswith("[") else "/predict", body)
    assert answer.status_code == 400
    assert "amount" in errors(answer)[""]
    assert "twice" in errors(answer)[""]
    assert ledger.head().sequence == 0


def test_a_colon_in_a_text_is_no_second_field(client: Client) -> None:
    answer = post(client, "/predict", '{"purpose": "a:b::c", "amount": 5000}')
    assert set(errors(answer)) == {"purpose"}


@pytest.mark.parametrize(
    "media_type",
    [
        "application/jsonfoo",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "application/json-patch+json",
        "",
    ],
)
def test_a_body_of_another_type_or_encoding_is_refused(client: Client, media_type: str) -> None:
    assert post(client, "/predict", b"{}", **{"content-type": media_type}).status_code == 415


def test_a_body_without_a_type_is_refused(client: Client) -> None:
    answer = client.post("/predict", content=b"{}")
    assert answer.status_code == 415
    assert "application/json" in errors(answer)[""]


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
    ],
)
def test_json_in_utf_8_is_taken_however_it_is_named(
    client: Client, case: Any, media_type: str
) -> None:
    body = json.dumps(case("approve"))
    assert post(client, "/predict", body, **{"content-type": media_type}).status_code == 200


@pytest.mark.parametrize("search", ["a\0b", "word " * 1001, "x" * 201, "\0"])
def test_a_search_that_the_database_cannot_do_is_refused(client: Client, search: str) -> None:
    answer = client.get("/logs", params={"search": search})
    assert answer.status_code == 422
    assert set(errors(answer)) == {"search"}


@pytest.mark.parametrize("search", ["a b c d e f g h i j", "x" * 200])
def test_a_search_of_ten_words_is_done(client: Client, search: str) -> None:
    assert client.get("/logs", params={"search": search}).status_code == 200


def test_an_identifier_with_a_nul_is_not_found(client: Client) -> None:
    assert client.get("/predictions/a%00b").status_code == 404


@pytest.mark.parametrize("field", ["prediction_id", "reason", "author"])
def test_an_override_with_a_nul_is_refused_by_its_field(
    client: Client, case: Any, field: str
) -> None:
    prediction = client.post("/predict", json=case("refer")).json()["prediction_id"]
    wish = {"prediction_id": prediction, "decision": "approve", "reason": "r", "author": "a"}
    answer = client.post("/overrides", json=wish | {field: f"{wish[field]}\0"})
    assert (answer.status_code, set(errors(answer))) == (422, {field})


def test_five_hundred_decisions_may_be_listed_at_once(client: Client) -> None:
    assert client.get("/logs?limit=500").status_code == 200
    assert client.get("/logs?limit=501").status_code == 422


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example"])
def test_without_keys_a_name_of_the_web_is_not_answered(client: Client, host: str) -> None:
    """A page whose name was made to mean this machine would otherwise read and decide here."""
    for path in ("/logs", "/", "/predict", "/metrics"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 403
        assert "CREDIT_PD_HOSTS" in errors(answer)[""]


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost", "[::1]:3000", "10.0.0.8", "pd:80"])
def test_without_keys_a_name_of_this_network_is_answered(client: Client, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200


async def ask_from(api: Api, machine: str, path: str, is_guarded: bool = False) -> httpx.Response:
    app = Application(inner, lambda: api.routes, Access(None, is_guarded=is_guarded), 4000)
    transport = httpx.ASGITransport(app, client=(machine, 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.8") as client:
        return await client.get(path)


@pytest.mark.parametrize("machine", ["10.0.0.9", "172.17.0.1", "2001:db8::1", "::ffff:10.0.0.9"])
@pytest.mark.parametrize("path", ["/logs", "/v1/logs", "/metrics", "/docs", "/model-info"])
def test_without_users_another_machine_gets_nothing_but_probes(
    api: Api, machine: str, path: str
) -> None:
    answer = asyncio.run(ask_from(api, machine, path))
    assert answer.status_code == 403
    assert "CREDIT_PD_WITHOUT_USERS" in errors(answer)[""]
    assert asyncio.run(ask_from(api, machine, "/readyz")).status_code == 200
    assert asyncio.run(ask_from(api, machine, path, is_guarded=True)).status_code == 200


@pytest.mark.parametrize("machine", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_users_this_machine_is_answered(api: Api, machine: str) -> None:
    assert asyncio.run(ask_from(api, machine, "/logs")).status_code == 200


def test_a_host_that_is_set_is_answered(api: Api) -> None:
    allowed = client_of(api, hosts=("credit.lender.example",))
    for host, status in (("credit.lender.example:443", 200), ("evil.example", 403)):
        assert allowed.get("/health", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https:", "http://["]
)
def test_without_keys_a_page_of_another_origin_decides_nothing(
    client: Client, ledger: Ledger, case: Any, origin: str
) -> None:
    body = json.dumps(case("approve"))
    answer = post(client, "/predict", body, origin=origin, host="127.0.0.1:3000")
    assert answer.status_code == 403
    assert ledger.head().sequence == 0
    same = post(client, "/predict", body, origin="http://127.0.0.1:3000", host="127.0.0.1:3000")
    assert same.status_code == 200


def test_with_keys_host_and_origin_do_not_matter(api: Api, case: Any) -> None:
    """No browser adds the key of another page's."""
    strangers = {"host": "credit.example", "origin": "https://app.example", "x-api-key": KEY}
    answer = post(client_of(api, keys=(KEY,)), "/predict", json.dumps(case("approve")), **strangers)
    assert answer.status_code == 200


def test_a_flood_of_unknown_fields_is_refused_at_once(api: Api) -> None:
    body = json.dumps({f"unknown field {number}": number for number in range(30_000)})
    client = client_of(api, max_body=1 << 20)
    post(client, "/predict", b"{}")
    start = time.process_time()
    answer = post(client, "/predict", body)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 50)
    assert time.process_time() - start < 0.25


def test_a_batch_of_bad_rows_has_a_bounded_answer(root: Any, ledger: Ledger) -> None:
    api = Api(root, ledger, max_batch=1000)
    api.state.load()
    rows = [{f"unknown {number}": number for number in range(30)} for _ in range(1000)]
    answer = client_of(api, max_body=1 << 20).post("/predict_batch", json=rows)
    results = answer.json()["results"]
    assert all(row["errors"] for row in results)
    assert sum(len(row["errors"]) for row in results) <= 2000


def test_health_names_neither_the_host_nor_the_account_of_the_database(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEDGER_CHECKPOINTS", str(tmp_path))
    away = Ledger("postgresql://clerk@127.0.0.1:9/credit")
    api = Api(root, away)
    api.state.load()
    client = client_of(api)
    for path in ("/health", "/readyz"):
        text = client.get(path).text
        assert "the database cannot be reached" in text
        assert not [name for name in ("127.0.0.1", "clerk", "port") if name in text]
    assert "127.0.0.1" in capsys.readouterr().err
    away.close()
