"""Officers over HTTP: the queue, four eyes above the policy's limit, and notes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.api.access.authentication import Access
from service.api.handlers.api import Api
from service.ledger import Ledger
from service.ledger.verify import verify
from service.users.api_keys import KeyRing, new_key, write_file
from stages.policy.rules import OverrideLimit
from tests.support.api_client import Client, client_with, errors, post_override
from tests.support.fakes.creditor import CREDITOR

Ask = Callable[..., Any]


@pytest.fixture
def limited(api: Api) -> Api:
    """A service whose policy wants a second officer for every application."""
    limit_overrides(api, -1)
    return api


def limit_overrides(api: Api, above: float) -> None:
    assert api.state.engine
    limit = OverrideLimit(field="amount", above=above)
    api.state.engine.policy = api.state.engine.policy.model_copy(update={"override_limit": limit})


def refer(client: Client, case: Any, **more: str) -> str:
    return str(client.post("/predict", json=case("refer") | more).json()["prediction_id"])


def answer(client: Client, proposal: str, **changes: Any) -> Any:
    body = {"proposal_id": proposal, "approved": True, "author": "B. Checker"}
    return client.post("/approvals", json=body | changes)


def test_below_the_limit_one_officer_decides(client: Client, api: Api, case: Any) -> None:
    limit_overrides(api, case("refer")["amount"])
    assert post_override(client, refer(client, case)).status_code == 201
    limit_overrides(api, case("refer")["amount"] - 1)
    assert post_override(client, refer(client, case)).status_code == 202


def test_above_the_limit_a_second_officer_approves(
    client: Client, limited: Api, ledger: Ledger, case: Any
) -> None:
    identifier = refer(client, case)
    proposed = post_override(client, identifier)
    assert (proposed.status_code, proposed.json()["kind"]) == (202, "proposal")
    assert proposed.json()["limit"] == {"field": "amount", "above": -1.0}
    record = client.get(f"/predictions/{identifier}").json()
    assert (record["overrides"], record["final_decision"]) == ([], "refer")
    assert record["pending"]["id"] == proposed.json()["id"]
    (waiting,) = client.get("/queue").json()["records"]
    assert waiting["pending"]["author"] == "A. Officer"
    assert answer(client, proposed.json()["id"], author="A. Officer").status_code == 409
    approved = answer(client, proposed.json()["id"])
    assert (approved.status_code, approved.json()["kind"]) == (201, "override")
    record = client.get(f"/predictions/{identifier}").json()
    assert (record["final_decision"], record["pending"]) == ("approve", None)
    assert client.get("/queue").json() == {"records": [], "next_after": None, "open": 0}
    assert answer(client, proposed.json()["id"]).status_code == 409
    assert verify(ledger.engine).findings == []


def test_the_letter_follows_only_when_the_second_officer_has_approved(
    client: Client, limited: Api, case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in CREDITOR.items():
        monkeypatch.setenv(name, text)
    identifier = refer(client, case)
    letter = client.get(f"/predictions/{identifier}/letter.html").text
    secret = "A secret of the desk"
    proposal = post_override(client, identifier, decision="decline").json()["id"]
    client.post(
        "/notes", json={"prediction_id": identifier, "text": secret, "author": "A. Officer"}
    )
    assert client.get(f"/predictions/{identifier}/letter.html").text == letter
    assert answer(client, proposal, reason=secret).status_code == 201
    declined = client.get(f"/predictions/{identifier}/letter.html").text
    assert "Knows the applicant" in declined
    assert "Knows the applicant" not in letter
    assert secret not in declined


def test_a_rejection_states_why(client: Client, limited: Api, case: Any) -> None:
    identifier = refer(client, case)
    proposal = post_override(client, identifier).json()["id"]
    refused = answer(client, proposal, approved=False)
    assert (refused.status_code, [*errors(refused)]) == (422, ["reason"])
    rejected = answer(client, proposal, approved=False, reason="The guarantor is unknown")
    assert (rejected.status_code, rejected.json()["kind"]) == (201, "rejection")
    assert client.get("/queue").json()["open"] == 1
    assert post_override(client, identifier, decision="decline").status_code == 202


@pytest.mark.parametrize(("what", "status"), [("decision", 404), ("nothing", 404)])
def test_only_a_proposal_is_answered(client: Client, case: Any, what: str, status: int) -> None:
    identifier = refer(client, case) if what == "decision" else "01"
    assert answer(client, identifier).status_code == status


def test_the_queue_is_paged_searched_and_filtered(client: Client, case: Any) -> None:
    identifiers = [refer(client, case, reference=f"LOAN-{number}") for number in range(3)]
    client.post("/predict", json=case("approve"))
    page = client.get("/queue", params={"limit": 2}).json()
    assert [record["id"] for record in page["records"]] == identifiers[:2]
    page = client.get("/queue", params={"after": page["next_after"]}).json()
    assert ([record["id"] for record in page["records"]], page["open"]) == (identifiers[2:], 3)
    (queued,) = client.get("/queue", params={"search": "LOAN-1"}).json()["records"]
    assert queued["id"] == identifiers[1]
    yesterday = (datetime.now(UTC).date() - timedelta(2)).isoformat()
    assert client.get("/queue", params={"until": yesterday}).json()["records"] == []
    assert len(client.get("/queue", params={"since": yesterday}).json()["records"]) == 3


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"decision": "maybe"}, "decision"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-13-01"}, "until"),
        ({"officer": "a\0b"}, "officer"),
        ({"rating": "A B"}, "rating"),
        ({"offcer": "me"}, "query"),
    ],
)
def test_a_wrong_filter_is_named(client: Client, query: dict[str, str], field: str) -> None:
    refused = client.get("/logs", params=query)
    assert (refused.status_code, [*errors(refused)]) == (422, [field])


def test_the_list_is_filtered_by_final_decision_and_officer(client: Client, case: Any) -> None:
    identifier = refer(client, case)
    assert post_override(client, identifier, author="Zoë Officer").status_code == 201
    client.post("/predict", json=case("decline"))
    for query in ({"decision": "approve"}, {"officer": "zoë"}, {"search": "knows"}):
        (record,) = client.get("/logs", params=query).json()["records"]
        assert record["id"] == identifier


def test_a_note_stands_with_its_decision(client: Client, case: Any) -> None:
    identifier = refer(client, case)
    note = {"prediction_id": identifier, "text": "Asked for payslips", "author": "A. Officer"}
    assert client.post("/notes", json=note).status_code == 201
    (record,) = client.get(f"/predictions/{identifier}").json()["notes"]
    assert (record["text"], record["author"]) == ("Asked for payslips", "A. Officer")
    assert client.post("/notes", json=note | {"prediction_id": record["id"]}).status_code == 404


@pytest.mark.parametrize(
    "blank", ["", " ", "\t\n", "\x1c\x1d\x1e\x1f", "\x85\xa0\u2028\u3000", "a\0"]
)
def test_a_blank_text_is_refused_wherever_officers_write(
    client: Client, case: Any, blank: str
) -> None:
    note = {"prediction_id": refer(client, case), "author": "A. Officer"}
    override = note | {"decision": "approve", "reason": "Payslips were shown"}
    for path, body in (
        ("/notes", note | {"text": blank}),
        ("/notes", note | {"text": "Asked", "author": blank}),
        ("/overrides", override | {"reason": blank}),
        ("/overrides", override | {"author": blank}),
    ):
        assert client.post(path, json=body).status_code == 422, path


def test_with_users_the_roles_and_names_are_those_of_the_log_in(
    api: Api, case: Any, tmp_path: Path
) -> None:
    limit_overrides(api, -1)
    tomorrow = datetime.now(UTC).date() + timedelta(1)
    keys = {
        name: new_key(name, roles, tomorrow)
        for name, roles in {
            "maker": ["decide", "review", "approve"],
            "checker": ["approve"],
            "reader": ["read"],
        }.items()
    }
    write_file(tmp_path / "keys", [kept for _, kept in keys.values()])
    ring = KeyRing((), tmp_path / "keys")
    client = client_with(api, Access(ring, (), has_open_docs=False))

    def send(name: str, path: str, **body: Any) -> Any:
        return client.post(path, json=body, headers={"x-api-key": keys[name][0]})

    identifier = send("maker", "/predict", **case("refer")).json()["prediction_id"]
    wish = {"prediction_id": identifier, "decision": "approve", "reason": "seen"}
    assert send("checker", "/overrides", **wish).status_code == 403
    proposal = send("maker", "/overrides", **wish).json()
    assert proposal["author"] == "maker"
    yes = {"proposal_id": proposal["id"], "approved": True}
    assert send("reader", "/approvals", **yes).status_code == 403
    assert send("maker", "/approvals", **yes).status_code == 409
    assert send("checker", "/approvals", **yes, author="maker").status_code == 422
    assert send("reader", "/notes", prediction_id=identifier, text="x").status_code == 403
    assert (
        send("checker", "/notes", prediction_id=identifier, text="x").json()["author"] == "checker"
    )
    approved = send("checker", "/approvals", **yes).json()
    assert (approved["author"], approved["approver"]) == ("maker", "checker")
    assert approved["caller"] == {"name": "checker", "type": "service"}
