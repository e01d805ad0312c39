"""Who may do what: every endpoint has its role, and every entry states who asked."""

from __future__ import annotations

import asyncio
import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from service.api import metrics
from service.api.access.authentication import Access
from service.api.access.permissions import EVERYBODY, PERMISSIONS
from service.api.application.asgi import FORWARDED
from service.api.handlers.api import Api
from service.ledger import Ledger
from service.users.api_keys import KeyRing, new_key, write_file
from service.users.callers import ROLES
from tests.support.api_client import JSON, KEY, Client, client_of, client_with, errors

NEXT_YEAR = datetime.now(UTC).date() + timedelta(365)
METHODS = {
    *("/predict", "/predict_batch", "/explain"),
    *("/overrides", "/approvals", "/notes", "/outcomes"),
}
PROTECTED = sorted(path for path, roles in PERMISSIONS.items() if roles != EVERYBODY)


class Users:
    """A service with users, and the key of each."""

    def __init__(self, api: Api, path: Path) -> None:
        self.api, self.path, self.lines = api, path, []  # type: ignore[var-annotated]

    def key(self, name: str, *roles: str) -> str:
        key, kept = new_key(name, roles, NEXT_YEAR)
        self.lines.append(kept)
        write_file(self.path, self.lines)
        return key

    def client(self) -> Client:
        return client_with(self.api, Access(KeyRing(path=self.path)))


@pytest.fixture
def users(api: Api, tmp_path: Path) -> Users:
    return Users(api, tmp_path / "keys")


def ask(client: Client, path: str, key: str, **options: Any) -> Any:
    method = "POST" if path in METHODS else "GET"
    headers = {"x-api-key": key, **options.pop("headers", {})}
    return client.request(method, path.replace("{id}", "1"), headers=headers, **options)


def test_every_route_stands_in_the_table_of_roles(api: Api) -> None:
    login = {"/login", "/callback", "/logout"}
    assert {*api.routes, *FORWARDED, *login, "/"} == PERMISSIONS.keys()


def test_every_role_of_the_table_exists_and_is_described() -> None:
    assert frozenset().union(*PERMISSIONS.values()) <= ROLES.keys()


@pytest.mark.parametrize("path", PROTECTED)
def test_a_caller_without_the_role_of_an_endpoint_is_refused(
    users: Users, ledger: Ledger, path: str
) -> None:
    others = ROLES.keys() - PERMISSIONS[path]
    right = users.key("right", sorted(PERMISSIONS[path])[0])
    wrong = users.key("wrong", *others) if others else None
    client = users.client()
    assert ask(client, path, right).status_code not in (401, 403)
    if wrong is not None:
        answer = ask(client, path, wrong, content=b"{}", headers=JSON)
        assert answer.status_code == 403
        assert "wrong has" in errors(answer)[""]
    assert ask(client, path, "cpd_stranger").status_code == 401
    assert ledger.head().sequence == 0


def test_decisions_overrides_and_outcomes_state_who_asked(
    users: Users, ledger: Ledger, case: Any
) -> None:
    key = users.key("loan-desk", "decide", "review", "outcomes")
    client = users.client()
    decided = ask(client, "/predict", key, json=case("refer")).json()["prediction_id"]
    batch = ask(client, "/predict_batch", key, json=[case("approve")] * 2).json()["results"]
    wish = {"prediction_id": decided, "decision": "approve", "reason": "Knows the applicant"}
    assert ask(client, "/overrides", key, json=wish).json()["author"] == "loan-desk"
    outcome = {"prediction_id": decided, "bad": 0, "date": str(datetime.now(UTC).date())}
    assert ask(client, "/outcomes", key, json=[outcome]).json()["recorded"] == 1
    stated = [entry.content["caller"] for entry in ledger.after(0, 10)]
    assert stated == [{"name": "loan-desk", "type": "service"}] * 5
    assert "caller" not in batch[0]["decision"]


def test_simultaneous_callers_are_not_mixed_up(users: Users, ledger: Ledger, case: Any) -> None:
    keys = {name: users.key(name, "decide") for name in ("first", "second", "third")}
    client, application = users.client(), case("approve")

    async def decide() -> list[Any]:
        asked = [
            client._request(
                "POST", "/predict", {"json": application, "headers": {"x-api-key": key}}
            )
            for key in keys.values()
        ]
        return await asyncio.gather(*asked)

    answers = asyncio.run(decide())
    for name, answer in zip(keys, answers, strict=True):
        record = ledger.get(answer.json()["prediction_id"])
        assert record
        assert record.entry.content["caller"]["name"] == name


def test_without_users_an_entry_has_the_bytes_that_it_always_had(
    client: Client, ledger: Ledger, case: Any
) -> None:
    client.post("/predict", json=case("approve"))
    content = ledger.after(0, 1)[0].content
    assert "caller" not in content
    assert content.keys() == {
        *("application", "identity", "default_probability", "credit_score", "rating", "decision"),
        *("reasons", "prediction", "id", "kind", "time", "commitments"),
    }


@pytest.mark.parametrize("author", ["Head of Credit", "loan-desk ", "LOAN-DESK", ""])
def test_nobody_decides_in_the_name_of_another(
    users: Users, ledger: Ledger, case: Any, author: str
) -> None:
    key = users.key("loan-desk", "decide", "review")
    client = users.client()
    decided = ask(client, "/predict", key, json=case("refer")).json()["prediction_id"]
    wish = {"prediction_id": decided, "decision": "approve", "reason": "r", "author": author}
    answer = ask(client, "/overrides", key, json=wish)
    assert (answer.status_code, set(errors(answer))) == (422, {"author"})
    assert ledger.head().sequence == 1
    wish["author"] = "loan-desk"
    assert ask(client, "/overrides", key, json=wish).status_code == 201


def test_without_users_an_override_states_its_author(client: Client, case: Any) -> None:
    decided = client.post("/predict", json=case("refer")).json()["prediction_id"]
    wish = {"prediction_id": decided, "decision": "approve", "reason": "r"}
    answer = client.post("/overrides", json=wish)
    assert (answer.status_code, set(errors(answer))) == (422, {"author"})


@pytest.mark.parametrize("name", ["x-api-key", "api_key", "key", "access_token", "token"])
def test_a_key_in_the_address_is_not_accepted(api: Api, name: str) -> None:
    """Addresses stand in logs and histories."""
    answer = client_of(api, keys=(KEY,)).get("/logs", params={name: KEY})
    assert answer.status_code == 401
    assert KEY not in answer.text


def test_several_credentials_are_refused(api: Api) -> None:
    client = client_of(api, keys=(KEY,))
    both = {"x-api-key": KEY, "authorization": f"Bearer {KEY}"}
    assert client.get("/logs", headers=both).status_code == 401
    twice = [("x-api-key", KEY), ("x-api-key", "another")]
    assert client.get("/logs", headers=twice).status_code == 401


@pytest.mark.parametrize("path", ["/predict", "/logs/", "/./logs", "/Logs", "/ui/../logs", "/v9"])
def test_no_spelling_of_a_path_goes_round_the_key(api: Api, path: str) -> None:
    assert client_of(api, keys=(KEY,)).get(path).status_code in (401, 404)


def test_every_digest_is_compared_so_that_time_reveals_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    original = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *a: compared.append(a) or original(*a))
    ring = KeyRing([sha256(text).digest() for text in (b"first", b"second", b"third")])
    for key in (b"first", b"third"):
        compared.clear()
        ring.find(key)
        assert len(compared) == 3


def test_a_refused_attempt_is_reported_without_its_key(
    users: Users, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = users.key("reader", "read")
    client = users.client()
    counts = {reason: refused(reason) for reason in ("invalid_key", "missing_role")}
    ask(client, "/logs", "cpd_guessed")
    ask(client, "/predict", reader)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    events = [(e["reason"], e["caller"], e["method"], e["path"]) for e in lines]
    assert events == [
        ("invalid_key", None, "GET", "/logs"),
        ("missing_role", "reader", "POST", "/predict"),
    ]
    assert "cpd_" not in json.dumps(lines)
    assert {reason: refused(reason) - count for reason, count in counts.items()} == {
        "invalid_key": 1,
        "missing_role": 1,
    }


def test_a_flood_of_attempts_writes_few_lines(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    client, before = client_of(api, keys=(KEY,)), refused("invalid_key")
    for _ in range(200):
        client.get("/logs", headers={"x-api-key": "wrong\x20\x7f"})
    assert refused("invalid_key") - before == 200
    assert len(capsys.readouterr().err.splitlines()) < 150


def refused(reason: str) -> float:
    return metrics.REFUSED_ACCESS.labels(reason)._value.get()


def test_callers_learn_who_they_are(users: Users, client: Client) -> None:
    key = users.key("desk", "read", "decide")
    assert ask(users.client(), "/whoami", key).json() == {
        "name": "desk",
        "type": "service",
        "roles": ["decide", "read"],
    }
    everybody = client.get("/whoami").json()
    assert (everybody["name"], set(everybody["roles"])) == (None, set(ROLES))
