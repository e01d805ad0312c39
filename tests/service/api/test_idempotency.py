"""`Idempotency-Key`: a request that is sent again gets the recorded answer, and no second entry."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import pytest

from service.api.access.authentication import Access
from service.api.handlers.api import Api
from service.ledger import Ledger
from service.users.api_keys import KeyRing
from tests.support.api_client import Client, client_with, errors
from tests.support.ledger_client import change

KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def test_a_repeated_request_gets_the_recorded_answer(
    client: Client, ledger: Ledger, case: Any
) -> None:
    first = client.post("/predict", json=case("refer"), headers=KEY)
    again = client.post("/predict", json=case("refer"), headers=KEY)
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == "application/json"
    assert ledger.head().sequence == 1


def test_a_repeated_batch_gets_the_recorded_answer(
    client: Client, ledger: Ledger, case: Any
) -> None:
    rows = [case("refer"), {"purpose": "boat"}, case("approve")]
    first, again = (client.post("/predict_batch", json=rows, headers=KEY) for _ in range(2))
    assert first.content == again.content
    assert [set(row) for row in first.json()["results"]] == [
        {"index", "decision"},
        {"index", "errors"},
        {"index", "decision"},
    ]
    assert ledger.head().sequence == 2
    bad = [client.post("/predict_batch", json=[{}], headers={"idempotency-key": "b"}).content]
    bad.append(client.post("/predict_batch", json=[{}], headers={"idempotency-key": "b"}).content)
    assert bad[0] == bad[1]


def test_another_body_under_the_same_key_is_refused(
    client: Client, ledger: Ledger, case: Any
) -> None:
    client.post("/predict", json=case("refer"), headers=KEY)
    answer = client.post("/predict", json=case("approve"), headers=KEY)
    assert (answer.status_code, set(errors(answer))) == (409, {"Idempotency-Key"})
    assert ledger.head().sequence == 1


def test_simultaneous_repetitions_are_recorded_once(
    client: Client, ledger: Ledger, case: Any
) -> None:
    options = {"json": case("approve"), "headers": KEY}

    async def many() -> list[Any]:
        return await asyncio.gather(
            *(client._request("POST", "/predict", options) for _ in range(10))
        )

    answers = asyncio.run(many())
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert ledger.head().sequence == 1


def test_the_key_of_another_caller_or_endpoint_is_another_key(
    api: Api, ledger: Ledger, case: Any
) -> None:
    """Whoever guesses or sees a key must not get the answer to somebody else's application."""
    ring = KeyRing([sha256(key).digest() for key in (b"first", b"second")])
    client = client_with(api, Access(ring))
    ids = set()
    for key in ("first", "second"):
        headers = KEY | {"x-api-key": key}
        answer = client.post("/predict", json=case("refer"), headers=headers)
        assert "idempotent-replayed" not in answer.headers
        ids.add(answer.json()["prediction_id"])
        headers = KEY | {"x-api-key": key}
        assert client.post("/predict_batch", json=[case("refer")], headers=headers).is_success
    assert len(ids) == 2
    assert ledger.head().sequence == 4


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "two words", 'a"b', "\x07"])
def test_a_key_that_is_none_is_refused(client: Client, ledger: Ledger, case: Any, key: str) -> None:
    headers = {"idempotency-key": key}
    answer = client.post("/predict", json=case("refer"), headers=headers)
    assert (answer.status_code, set(errors(answer))) == (422, {"Idempotency-Key"})
    assert ledger.head().sequence == 0


def test_a_refused_application_uses_up_no_key(client: Client, ledger: Ledger, case: Any) -> None:
    assert client.post("/predict", json={"amount": 1}, headers=KEY).status_code == 422
    assert client.post("/predict", json=case("refer"), headers=KEY).status_code == 200
    assert ledger.head().sequence == 1


def test_quotes_of_the_draft_do_not_matter(client: Client, case: Any) -> None:
    quoted = {"idempotency-key": f'"{KEY["idempotency-key"]}"'}
    first = client.post("/predict", json=case("refer"), headers=KEY)
    assert client.post("/predict", json=case("refer"), headers=quoted).content == first.content


def test_on_a_database_that_was_not_migrated_keys_are_ignored(
    client: Client, ledger: Ledger, case: Any
) -> None:
    change(ledger.engine, "UPDATE alembic_version SET version_num = '0005'")
    change(ledger.engine, "DROP TABLE ledger_claims")
    for _ in range(2):
        assert client.post("/predict", json=case("refer"), headers=KEY).status_code == 200
    assert ledger.head().sequence == 2
