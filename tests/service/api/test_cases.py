"""The reference of a case: several decisions about one application are seen together."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text

from service.api.handlers.api import Api
from service.ledger import Entry, Ledger, draft
from service.ledger.migrations import revisions
from service.ledger.reader import EarlierDecision, earlier, recent
from service.ledger.storage.database import connection_to
from service.ledger.storage.personal_tables import read_protected
from service.ledger.verify import verify
from tests.support.api_client import Client, errors, post_override

CASE = "A/2026 №41"


def test_an_answer_lists_the_earlier_decisions_of_its_case(client: Client, case: Any) -> None:
    first = client.post("/predict", json=case("refer") | {"reference": CASE}).json()
    assert first["reference"] == CASE
    assert first["case"] == {"number": 1, "earlier": []}
    post_override(client, first["prediction_id"], decision="decline")
    client.post("/predict", json=case("approve") | {"reference": "another"})
    client.post("/predict", json=case("approve"))
    second = client.post("/predict", json=case("approve") | {"reference": CASE}).json()
    assert second["case"]["number"] == 2
    assert second["case"]["earlier"] == [
        {
            "prediction_id": first["prediction_id"],
            "timestamp": first["timestamp"],
            "decision": "refer",
            "final": "decline",
        }
    ]


def recorded_application(ledger: Ledger, entry: Entry) -> dict[str, Any]:
    """Return a recorded application with its protected attributes, which stand apart."""
    apart = read_protected(ledger.engine, [entry.sequence])
    return {**entry.content["application"], **json.loads(apart.get(entry.sequence, "{}"))}


def test_a_reference_is_recorded_beside_the_application(
    client: Client, ledger: Ledger, case: Any
) -> None:
    answer = client.post("/predict", json=case("decline") | {"reference": CASE}).json()
    record = ledger.get(answer["prediction_id"])
    assert record
    assert record.entry.content["reference"] == CASE
    assert recorded_application(ledger, record.entry) == case("decline")
    plain = client.post("/predict", json=case("decline")).json()
    assert plain.keys() == answer.keys() - {"reference", "case"}
    record = ledger.get(plain["prediction_id"])
    assert record
    assert "reference" not in record.entry.content


def test_a_case_lists_its_decisions(client: Client, case: Any) -> None:
    numbers = [
        client.post("/predict", json=case(decision) | {"reference": CASE}).json()["prediction_id"]
        for decision in ("decline", "approve")
    ]
    client.post("/predict", json=case("decline"))
    page = client.get(f"/cases/{quote(CASE, safe='')}").json()
    assert page["reference"] == CASE
    assert [record["id"] for record in page["records"]] == numbers[::-1]
    logged = client.get("/logs", params={"reference": CASE, "limit": 1}).json()
    assert [record["id"] for record in logged["records"]] == numbers[1:]
    older = {"reference": CASE, "before": logged["next_before"]}
    logged = client.get("/logs", params=older).json()
    assert [record["id"] for record in logged["records"]] == numbers[:1]


@pytest.mark.parametrize("unknown", ["none", "a%00b", "x" * 65, "%0A"])
def test_an_unknown_case_is_not_found(client: Client, unknown: str) -> None:
    assert client.get(f"/cases/{unknown}").status_code == 404


@pytest.mark.parametrize("wrong", ["", " ", "x" * 65, "a\nb", "a\u0000b", 41, ["a"], "\u202e41"])
def test_a_reference_that_is_no_printable_text_is_refused(
    client: Client, ledger: Ledger, case: Any, wrong: Any
) -> None:
    answer = client.post("/predict", json=case("decline") | {"reference": wrong})
    assert answer.status_code == 422
    assert "reference must be a printable text of 1 to 64 characters" in errors(answer)["reference"]
    assert ledger.head().sequence == 0


def test_no_reference_is_as_good_as_null(client: Client, case: Any) -> None:
    answer = client.post("/predict", json=case("decline") | {"reference": None}).json()
    assert "case" not in answer


def test_the_rows_of_a_batch_have_references_of_their_own(client: Client, case: Any) -> None:
    client.post("/predict", json=case("decline") | {"reference": "one"})
    rows = [
        case("decline") | {"reference": "one"},
        case("approve"),
        case("approve") | {"reference": ""},
        case("refer") | {"reference": "two"},
    ]
    results = client.post("/predict_batch", json=rows).json()["results"]
    assert results[0]["decision"]["case"]["number"] == 2
    assert "case" not in results[1]["decision"]
    assert results[2]["errors"][0]["field"] == "reference"
    assert results[3]["decision"]["case"] == {"number": 1, "earlier": []}


def test_an_explanation_takes_the_same_body(client: Client, case: Any) -> None:
    assert client.post("/explain", json=case("decline") | {"reference": CASE}).status_code == 200


def test_a_field_of_the_contract_keeps_its_name(
    client: Client, api: Api, case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contract with a field `reference` has no cases; here its check refuses the text."""
    assert api.state.engine
    applications = api.state.engine.applications
    monkeypatch.setattr(applications, "names", applications.names | {"reference"})
    answer = client.post("/predict", json=case("decline") | {"reference": CASE})
    assert answer.status_code == 422
    assert "printable" not in errors(answer)["reference"]


@pytest.fixture
def older(tmp_path: Path) -> Ledger:
    """A ledger whose schema lacks the index of cases, as the previous release made it."""
    older_ledger = Ledger(f"sqlite:///{tmp_path}/older.sqlite")
    older_ledger.prepare()
    with connection_to(older_ledger.engine) as connection:
        connection.execute(text("DROP INDEX ledger_entries_by_case"))
        version = {"version": revisions.OLDEST}
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), version)
        connection.commit()
    return older_ledger


def content(reference: str | None, number: int = 0) -> dict[str, Any]:
    answer = {"default_probability": 0.1, "credit_score": 600, "rating": "A", "reasons": []}
    about = {"application": {"n": number, "note": '"reference":"x"'}, "identity": {}}
    changes = {} if reference is None else {"reference": reference}
    return {**answer, **about, "decision": "approve", **changes}


def test_cases_are_found_without_their_index_too(older: Ledger) -> None:
    asyncio.run(older.append(draft("decision", content("x"))))
    asyncio.run(older.append(draft("decision", content(None))))
    (record,) = recent(older.engine, 10, reference="x").records
    assert record.entry.content["reference"] == "x"
    assert earlier(older.engine, ["x"]) == {
        "x": [EarlierDecision(record.entry.id, record.entry.time, "approve", None)]
    }
    assert earlier(older.engine, ["y"]) == {}
    older.close()


def test_a_case_is_found_by_its_index(ledger: Ledger) -> None:
    asyncio.run(ledger.append(draft("decision", content("x"))))
    seen: list[str] = []
    raw = ledger.engine.raw_connection()
    raw.set_trace_callback(seen.append)  # type: ignore[attr-defined]
    raw.close()
    earlier(ledger.engine, ["x"])
    (query,) = [each for each in seen if "json_extract" in each]
    with connection_to(ledger.engine) as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    assert any("ledger_entries_by_case" in str(row) for row in plan), plan


def test_entries_of_before_verify_as_ever(older: Ledger) -> None:
    """A reference adds to the content of its own entry and changes no other's bytes."""
    for reference in (None, "x", None, "y"):
        asyncio.run(older.append(draft("decision", content(reference))))
    entries = older.after(0, 10)
    assert [each.content.get("reference") for each in entries] == [None, "x", None, "y"]
    assert verify(older.engine).total == 0
    older.close()
