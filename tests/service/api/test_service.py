"""Over HTTP: answers, refusals, what guards them, and that every decision is in the ledger."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import jsonschema
import pytest

from service.api import metrics
from service.api.description import model_info
from service.api.drafts import Asked, draft_decisions
from service.api.handlers import decisions
from service.api.handlers.api import Api
from service.api.requests import Request
from service.decision import hashes
from service.decision.engine import Engine
from service.ledger import Ledger, override
from service.ledger.review import steps
from service.ledger.storage.personal_tables import read_protected
from service.transparency.log import TransparencyLog
from service.transparency.signing import Signer
from service.transparency.verify_receipt import LOG, verify
from stages.contract import reading as contracts
from tests.support.api_client import JSON, KEY, Client, client_of, errors, parts, post_override
from tests.support.fakes.creditor import CREDITOR

ENDPOINTS = ("/predict", "/predict_batch", "/explain", "/overrides")


def test_a_prediction_is_the_engines_decision(client: Client, api: Api, case: Any) -> None:
    for decision in ("approve", "refer", "decline"):
        application = case(decision)
        answer = client.post("/predict", json=application).json()
        assert api.state.engine
        direct = api.state.engine.decide(application)
        assert answer.pop("prediction_id")
        assert answer.pop("timestamp").endswith("Z")
        assert answer == {name: getattr(direct, name) for name in direct.__slots__}
        assert answer["decision"] == decision
        assert bool(answer["reasons"]) == (decision != "approve")


def test_a_decision_is_in_the_ledger_as_it_was_answered(
    client: Client, ledger: Ledger, case: Any
) -> None:
    application = case("decline") | {"sex": "F"}
    answer = client.post("/predict", json=application).json()
    record = ledger.get(answer["prediction_id"])
    assert record
    content = record.entry.content
    apart = read_protected(ledger.engine, [record.entry.sequence])
    assert apart == {record.entry.sequence: '{"sex":"F"}'}
    assert {**content["application"], "sex": "F"} == application
    assert content["time"] == answer["timestamp"]
    kept = ("default_probability", "credit_score", "rating", "decision", "reasons", "identity")
    assert {name: content[name] for name in kept} == {name: answer[name] for name in kept}


BROKEN: list[tuple[str, bytes, int]] = [
    ("/predict", b"{}", 422),
    ("/predict", b"[]", 422),
    ("/predict", b"null", 422),
    ("/predict", b'{"amount": 5000, "purpose": "car", "color": "red"}', 422),
    ("/predict", b'{"amount": 5000, "purpose": "boat"}', 422),
    ("/predict", b'{"amount": "5000", "purpose": "car"}', 422),
    ("/predict", b'{"amount": NaN, "purpose": "car"}', 422),
    ("/predict", b'{"amount": Infinity, "purpose": "car"}', 422),
    ("/predict", b'{"amount": 1e999, "purpose": "car"}', 422),
    ("/predict", b'{"amount": 1, "purpose": "car"}', 422),
    ("/predict", b'{"amount": 5000, "income": 20000, "stated": 3, "purpose": "car"}', 422),
    ("/predict", b'{"amount": 5000, "purpose": "car"', 400),
    ("/predict", b"", 400),
    ("/predict", b"\xff\xfe", 400),
    ("/predict", b"[" * 3000, 400),
    ("/predict", b'"' + b"x" * 5000 + b'"', 413),
    ("/explain", b"{}", 422),
    ("/explain", b"{", 400),
    ("/predict_batch", b"[]", 422),
    ("/predict_batch", b"{}", 422),
    ("/predict_batch", b"[1,2,3,4,5,6]", 422),
    ("/overrides", b"{}", 422),
    ("/overrides", b"[]", 422),
]


@pytest.mark.parametrize(("path", "body", "status"), BROKEN)
def test_what_is_invalid_is_refused_and_never_recorded(
    client: Client, ledger: Ledger, path: str, body: bytes, status: int
) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert all(errors(answer).values())
    assert ledger.head().sequence == 0


def test_every_field_has_its_own_message(client: Client) -> None:
    answer = client.post("/predict", json={"amount": 1, "purpose": "boat", "months": 3.5})
    assert errors(answer) == {
        "amount": "amount must be a number from 100 to 50000; got 1",
        "purpose": "purpose must be one of car, home, other; got boat",
        "months": "months must be a whole number from 1 to 120, or -9 (missing), or null; got 3.5",
    }


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_a_body_of_another_type_is_refused(client: Client, kind: str) -> None:
    answer = client.post("/predict", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415
    assert kind in errors(answer)[""]


def test_a_large_body_is_refused_by_its_announced_length(client: Client) -> None:
    headers = {"content-type": "application/json", "content-length": "5000"}
    assert client.post("/predict", content=b"{}", headers=headers).status_code == 413


def test_a_large_body_is_refused_while_it_comes(client: Client) -> None:
    answer = client.post("/predict", content=parts(*[b" " * 1000] * 9), headers=JSON)
    assert answer.status_code == 413


def test_a_body_may_come_in_parts(client: Client, case: Any) -> None:
    body = json.dumps(case("approve")).encode()
    assert (
        client.post("/predict", content=parts(body[:20], body[20:]), headers=JSON).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "POST"),
        ("PUT", "/predict", "POST"),
        ("POST", "/health", "GET"),
        ("DELETE", "/predictions/1", "GET"),
        ("POST", "/", "GET, HEAD"),
        ("OPTIONS", "/explain", "POST"),
    ],
)
def test_another_method_is_refused(client: Client, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "path", ["/nothing", "/predict/", "/ui/../service.py", "/ui/%2e%2e/handlers.py"]
)
def test_an_unknown_path_is_not_found(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_batch_is_answered_and_refused_row_by_row(
    client: Client, ledger: Ledger, case: Any
) -> None:
    rows = [case("approve"), {"amount": 1}, case("decline"), None]
    results = client.post("/predict_batch", json=rows).json()["results"]
    assert [row["index"] for row in results] == [0, 1, 2, 3]
    assert [row.get("decision", {}).get("decision") for row in results] == [
        "approve",
        None,
        "decline",
        None,
    ]
    assert {error["field"] for error in results[1]["errors"]} == {"amount", "purpose"}
    assert ledger.head().sequence == 2


def test_a_batch_decides_as_single_requests_do(client: Client, case: Any) -> None:
    single = client.post("/predict", json=case("refer")).json()
    batched = client.post("/predict_batch", json=[case("refer")]).json()["results"][0]["decision"]
    of_each_request = ("prediction_id", "timestamp")
    assert {k: v for k, v in single.items() if k not in of_each_request} == {
        k: v for k, v in batched.items() if k not in of_each_request
    }


def test_an_explanation_records_nothing(client: Client, ledger: Ledger, case: Any) -> None:
    explanation = client.post("/explain", json=case("decline")).json()
    assert explanation["what_would_change_it"]["statement"]
    assert explanation["reasons"]
    assert ledger.head().sequence == 0


def test_decisions_are_answered_while_an_explanation_is_searched(
    client: Client, case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The explanation ends only when a decision was answered, so it must not hold the loop."""
    decided = Event()

    def search(engine: Engine, application: dict[str, Any]) -> dict[str, Any]:
        return {"a decision was answered meanwhile": decided.wait(60)}

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as asking:
            explaining = asyncio.create_task(asking.post("/explain", json=case("decline")))
            answer = await asking.post("/predict", json=case("approve"))
            decided.set()
            assert answer.status_code == 200
            return await explaining

    monkeypatch.setattr(decisions, "explain", search)
    assert asyncio.run(ask()).json() == {"a decision was answered meanwhile": True}


def test_recent_decisions_come_newest_first_in_pages(client: Client, case: Any) -> None:
    ids = [client.post("/predict", json=case("approve")).json()["prediction_id"] for _ in range(3)]
    first = client.get("/logs", params={"limit": 2}).json()
    assert [record["id"] for record in first["records"]] == [ids[2], ids[1]]
    rest = client.get("/logs", params={"limit": 2, "before": first["next_before"]}).json()
    assert [record["id"] for record in rest["records"]] == [ids[0]]


def test_recent_decisions_can_be_searched(client: Client, case: Any) -> None:
    for decision in ("approve", "decline"):
        client.post("/predict", json=case(decision))
    records = client.get("/logs", params={"search": "decline"}).json()["records"]
    assert [record["decision"] for record in records] == ["decline"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=",
        "before=-1",
        "before=1e3",
        "limit=%D9%A1",
        f"before={'9' * 30}",
    ],
)
def test_a_query_beyond_its_limits_is_refused(client: Client, query: str) -> None:
    answer = client.get(f"/logs?{query}")
    assert answer.status_code == 422
    assert query.split("=", maxsplit=1)[0] in errors(answer)


def test_one_decision_is_found_by_its_id(client: Client, case: Any) -> None:
    answer = client.post("/predict", json=case("refer")).json()
    record = client.get(f"/predictions/{answer['prediction_id']}").json()
    assert {**record["application"], "sex": case("refer")["sex"]} == case("refer")
    assert "sex" not in record["application"]
    assert record["sequence"] == 1
    assert client.get("/predictions/unknown").status_code == 404


def test_a_decision_is_shown_with_the_policy_of_its_time(
    client: Client, api: Api, case: Any
) -> None:
    assert api.state.engine
    then = client.get("/model-info").json()["policy"]
    answer = client.post("/predict", json=case("approve")).json()
    stricter = api.state.engine.policy.model_copy(update={"cut_off": 0.01})
    identity = api.state.engine.identity | {"policy": "another"}
    api.state.engine = Engine(api.state.engine.model, stricter, identity)
    assert client.get("/model-info").json()["policy"] != then
    assert client.get(f"/predictions/{answer['prediction_id']}").json()["policy"] == then
    assert client.get("/logs").json()["records"][0]["policy"] == then


def test_a_recorded_decision_has_a_receipt_once_it_was_signed(
    client: Client, api: Api, case: Any
) -> None:
    answer = client.post("/predict", json=case("refer")).json()
    path = f"/predictions/{answer['prediction_id']}/receipt"
    refused = client.get(path)
    assert refused.status_code == 404
    assert "no checkpoint holds entry 1 yet" in refused.text
    signer = Signer.generate("lender.example/ledger", LOG)
    TransparencyLog(api.state.ledger.engine).publish(signer)
    content = verify(client.get(path).json(), signer.key, [], quorum=0)
    assert content["id"] == answer["prediction_id"]
    assert client.get("/predictions/unknown/receipt").status_code == 404
    assert client.get("/predictions/a%00b/receipt").status_code == 404


def test_a_referred_case_can_be_decided_by_a_person_once(client: Client, case: Any) -> None:
    prediction = client.post("/predict", json=case("refer")).json()["prediction_id"]
    answer = post_override(client, prediction)
    assert answer.status_code == 201
    assert answer.json()["refers_to"] == prediction
    record = client.get(f"/predictions/{prediction}").json()
    assert record["decision"] == "refer"
    assert [entry["decision"] for entry in record["overrides"]] == ["approve"]
    assert post_override(client, prediction, decision="decline").status_code == 409


def test_only_a_referred_case_can_be_overridden(client: Client, case: Any) -> None:
    prediction = client.post("/predict", json=case("decline")).json()["prediction_id"]
    answer = post_override(client, prediction)
    assert answer.status_code == 409
    assert "only a decision to refer" in errors(answer)[""]
    assert post_override(client, "unknown").status_code == 404


@pytest.mark.parametrize(
    "changes", [{"reason": ""}, {"author": " "}, {"decision": "refer"}, {"more": "x"}]
)
def test_an_override_needs_a_reason_and_a_name(
    client: Client, case: Any, changes: dict[str, str]
) -> None:
    prediction = client.post("/predict", json=case("refer")).json()["prediction_id"]
    answer = post_override(client, prediction, **changes)
    assert answer.status_code == 422
    assert set(errors(answer)) == {*changes}


def test_without_a_ledger_there_are_no_answers_until_it_returns(
    root: Path, tmp_path: Path, case: Any
) -> None:
    (tmp_path / "away.sqlite").mkdir()
    away = Ledger(f"sqlite:///{tmp_path}/away.sqlite")
    api = Api(root, away)
    api.state.load()
    client = client_of(api)
    for path, body in (("/predict", case("approve")), ("/predict_batch", [case("approve")])):
        answer = client.post(path, json=body)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert "decisions cannot be recorded" in errors(answer)[""]
    assert client.get("/readyz").status_code == 503
    assert client.get("/logs").status_code == 503
    (tmp_path / "away.sqlite").rmdir()
    assert client.post("/predict", json=case("approve")).status_code == 200
    assert client.get("/readyz").status_code == 200
    assert away.head().sequence == 1
    away.close()


@pytest.mark.parametrize("altered", [False, True])
def test_without_a_sound_model_the_service_lives_and_says_why_it_is_not_ready(
    altered: bool, tmp_path: Path, ledger: Ledger
) -> None:
    reason = "winner.json is missing"
    if altered:
        contents = dict.fromkeys(hashes.FILES, b"sound")
        (tmp_path / "models").mkdir()
        for path in contents:
            (tmp_path / path).write_bytes(b"altered")
        (tmp_path / hashes.MANIFEST).write_text(hashes.manifest(contents))
        reason = "winner.json is not the file that models/manifest.json states"
    api = Api(tmp_path, ledger)
    api.state.load()
    client = client_of(api)
    for path in ("/predict", "/predict_batch", "/explain"):
        answer = client.post(path, json=[])
        assert answer.status_code == 503
        assert reason in errors(answer)[""]
    for path in ("/readyz", "/model-info"):
        assert client.get(path).status_code == 503
    health = client.get("/health")
    assert health.status_code == 200
    assert reason in health.json()["reason"]
    assert client.get("/livez").text == "inner /livez"
    assert client.get("/docs.json").status_code == 200
    assert client.get("/").status_code == 200


def test_health_and_readiness_say_that_all_is_well(client: Client) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/health").json()["status"] == "ready"


def test_model_info_describes_the_served_model(client: Client, api: Api) -> None:
    answer = client.get("/model-info").json()
    assert api.state.engine
    assert answer["identity"] == api.state.engine.identity
    assert answer["golden"] == {"records": 20, "identical": True}
    assert answer["winner"] == "lightgbm"
    assert answer["policy"]["approve_below"] == api.state.engine.policy.approve_below
    assert {f["name"] for f in answer["contract"]["fields"]} == {
        *api.state.engine.applications.fields
    }
    assert answer["model"]["trained_on"]["rows"] > 0


def test_the_form_heads_its_parts_with_the_titles_of_the_tables() -> None:
    description = model_info.describe_contract(contracts.load("loan_book"), set())
    assert {f["table"] for f in description["fields"]} == {"Loan", "Customer", "Credit bureau"}


@pytest.mark.parametrize(
    "path",
    [
        *ENDPOINTS,
        "/logs",
        "/model-info",
        "/predictions/1",
        "/docs",
        "/docs.json",
        "/metrics",
        "/schema.json",
    ],
)
def test_with_keys_set_an_endpoint_needs_one(api: Api, path: str) -> None:
    client = client_of(api, keys=("another", KEY))
    method = "POST" if path in ENDPOINTS else "GET"
    for headers in (
        {},
        {"x-api-key": "wrong"},
        {"authorization": "Bearer wrong"},
        {"x-api-key": ""},
    ):
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "ApiKey"
    for headers in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}):
        assert client.request(method, path, headers=headers).status_code != 401


@pytest.mark.parametrize("path", ["/docs", "/docs.json"])
def test_an_operator_may_open_the_documentation_to_all(api: Api, path: str) -> None:
    client = client_of(api, keys=(KEY,), has_open_docs=True)
    assert client.get(path).status_code == 200
    assert client.get("/logs").status_code == 401


@pytest.mark.parametrize("path", ["/", "/ui/app.js", "/health", "/readyz", "/livez", "/healthz"])
def test_health_readiness_and_the_page_need_no_key(api: Api, path: str) -> None:
    assert client_of(api, keys=(KEY,)).get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/ui/app.js", "/health", "/livez", "/nothing", "/predict"])
def test_no_answer_can_be_framed_or_taken_for_something_else(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/docs", "/ui/app.js"])
def test_the_page_may_only_use_what_comes_with_it(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/health", "/predict", "/nothing"])
def test_no_answer_may_be_cached(client: Client, path: str) -> None:
    assert client.get(path).headers["cache-control"] == "no-store"


def test_the_page_names_no_other_host() -> None:
    for file in (Path(__file__).parents[3] / "service/api/ui").glob("*.*"):
        hosts = file.read_text().replace("http://www.w3.org/", "")
        assert "http://" not in hosts, file
        assert "https://" not in hosts, file


def test_bentomls_own_paths_are_forwarded(client: Client) -> None:
    for path in ("/livez", "/healthz", "/metrics", "/schema.json"):
        assert client.get(path).text == f"inner {path}"


def test_the_description_covers_every_endpoint(client: Client, api: Api) -> None:
    paths = client.get("/docs.json").json()["paths"]
    described = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    served = {(path, m) for path, methods in api.routes.items() for m in methods}
    assert described == served - {("/docs", "GET"), ("/docs.json", "GET")}


def test_the_description_refers_only_to_schemas_that_it_has(client: Client) -> None:
    text = client.get("/docs.json").text
    schemas = json.loads(text)["components"]["schemas"]
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert referred - schemas.keys() == set()
    assert {"BatchRows", "Answer"} <= referred


def test_the_examples_of_the_description_work(client: Client) -> None:
    paths = client.get("/docs.json").json()["paths"]
    for path in ("/predict", "/predict_batch", "/explain"):
        example = paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert client.post(path, json=example).status_code == 200


def proposed(api: Api, case: Any) -> str:
    """Record a referral and a proposal about it; returns the proposal's identifier."""
    assert api.state.engine
    decision = api.state.engine.decide(case("refer"))
    (entry,) = draft_decisions([decision], [Asked(case("refer"), None, None)], ())
    (referred,) = api.state.ledger.append_many([entry.entry])
    limit = {"field": "amount", "above": 1}
    wish = override(referred, "approve", "seen", "A", None, limit)
    return steps.decide(api.state.ledger, wish).id


def test_every_answer_matches_its_described_schema(
    client: Client, case: Any, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schemathesis sees no case that exists; here there is one, referred and overridden."""
    for name, text in CREDITOR.items():
        monkeypatch.setenv(name, text)
    document = client.get("/docs.json").json()
    referred, declined = case("refer") | {"reference": "A-1"}, case("decline")
    prediction = client.post("/predict", json=referred).json()["prediction_id"]
    TransparencyLog(api.state.ledger.engine).publish(Signer.generate("lender.example/ledger", LOG))
    wish = {"decision": "approve", "reason": "Payslips seen", "author": "A. Officer"}
    bodies: dict[str, Any] = {
        "/predict": declined,
        "/predict_batch": [referred, declined, {"amount": -1}],
        "/explain": declined,
        "/overrides": wish | {"prediction_id": prediction},
        "/approvals": {"proposal_id": proposed(api, case), "approved": True, "author": "B"},
        "/notes": {"prediction_id": prediction, "text": "Called", "author": "A. Officer"},
        "/outcomes": [{"prediction_id": prediction, "bad": 1, "date": "2026-01-31"}, {}],
    }
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            where = path.replace("/predictions/{id}", f"/predictions/{prediction}")
            where = where.replace("/cases/{id}", "/cases/A-1")
            given = {"json": bodies[path]} if method == "post" else {}
            answer = client.request(method.upper(), where, **given)
            documented = described["responses"][str(answer.status_code)]
            ((media_type, content),) = documented["content"].items()
            assert answer.headers["content-type"].startswith(media_type)
            body = answer.json() if media_type.endswith("json") else answer.text
            shape = {**content["schema"], "components": document["components"]}
            jsonschema.validate(body, shape)
            assert answer.status_code in (200, 201) or path == "/drift-reports/{id}", path


def test_an_unexpected_error_is_counted_as_a_failure(
    client: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(request: Request) -> tuple[int, bytes]:
        raise ZeroDivisionError

    counted: list[tuple[str, int]] = []
    monkeypatch.setitem(api.routes, "/health", {"GET": broken})
    monkeypatch.setattr(
        metrics, "count_request", lambda name, status, _: counted.append((name, status))
    )
    with pytest.raises(ZeroDivisionError):
        client.get("/health")
    assert counted == [("/health", 500)]


def test_a_head_request_is_answered(client: Client) -> None:
    assert client.request("HEAD", "/health").status_code == 200
    assert client.request("HEAD", "/").status_code == 200


def test_the_documentation_is_a_page(client: Client) -> None:
    answer = client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>API</h1>" in answer.text
    assert client.post("/docs").headers["content-type"] == "application/problem+json"


def test_a_file_of_the_page_that_has_not_changed_is_not_sent_again(client: Client) -> None:
    etag = client.get("/ui/app.js").headers["etag"]
    answer = client.get("/ui/app.js", headers={"if-none-match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
