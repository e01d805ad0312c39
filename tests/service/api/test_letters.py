"""Letters over HTTP and by their command, about decisions that the service recorded."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from service.api.handlers.api import Api
from service.ledger import Ledger
from service.letters import __main__ as command
from tests.support.api_client import Client, client_of, errors, post_override
from tests.support.books import Project
from tests.support.fakes.creditor import CREDITOR
from tests.support.trained.winners import crown


@pytest.fixture
def client(api: Api, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, text in CREDITOR.items():
        monkeypatch.setenv(name, text)
    return client_of(api)


def text_of(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_a_declined_applicant_reads_the_reasons_of_the_answer(client: Client, case: Any) -> None:
    answer = client.post("/predict", json=case("decline") | {"sex": "F"}).json()
    address = f"/predictions/{answer['prediction_id']}/letter"
    letter = client.get(f"{address}.pdf")
    assert letter.headers["content-type"] == "application/pdf"
    page = client.get(f"{address}.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (
        "default-src 'none'; style-src 'unsafe-inline'" in page.headers["content-security-policy"]
    )
    text = text_of(letter.content)
    assert answer["reasons"]
    for reason in answer["reasons"]:
        assert reason["text"] in text
    assert str(answer["credit_score"]) in text
    assert f"{answer['default_probability']}"[:6] not in text + page.text


def test_an_applicant_reads_an_explanation(client: Client, case: Any) -> None:
    answer = client.post("/predict", json=case("decline")).json()
    address = f"/predictions/{answer['prediction_id']}/explanation"
    text = text_of(client.get(f"{address}.pdf").content)
    assert answer["reasons"][0]["text"] in text
    assert "What would change the outcome" in text
    assert "in another way today" not in text
    assert client.get(f"{address}.html").text.startswith("<!doctype html>")


@pytest.mark.parametrize("final", ["approve", "decline"])
def test_a_letter_follows_the_officer(client: Client, case: Any, final: str) -> None:
    number = client.post("/predict", json=case("refer")).json()["prediction_id"]
    assert post_override(client, number, decision=final).status_code == 201
    text = text_of(client.get(f"/predictions/{number}/letter.pdf").content)
    assert ("We have denied" in text) == (final == "decline")
    assert ("We have approved" in text) == (final == "approve")


def read_everything(client: Client, ids: list[str]) -> list[str]:
    """What the page, its list and the letters say about decisions."""
    paths = [f"/predictions/{each}{end}" for each in ids for end in ("", "/letter.html")]
    answers = [client.get(path) for path in ("/logs", *paths)]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.text for answer in answers]


def test_decisions_read_the_same_under_another_model_contract_and_policy(
    client: Client, api: Api, case: Any, fitted_book: Project, tmp_path: Path
) -> None:
    """The later service has another winner, words, cut-offs, rules and scale of the score."""
    applications = {decision: case(decision) for decision in ("approve", "refer", "decline")}
    ids = [client.post("/predict", json=a).json()["prediction_id"] for a in applications.values()]
    post_override(client, ids[1], decision="decline", reason="The payslips were not shown")
    before = read_everything(client, ids)
    rules = [{"rule": "amount > 1", "decision": "decline", "reason": "No loans at all"}]
    scale = {"policy__base_score": 300, "policy__pdo": 20, "policy__cut_off": 0.01}
    later = Api(
        crown(fitted_book, "logistic", tmp_path / "later", policy__rules=rules, **scale),
        api.state.ledger,
    )
    later.state.load()
    assert later.state.engine, later.state.problem
    served = client_of(later)
    for application in applications.values():
        answer = served.post("/predict", json=application).json()
        assert answer["reasons"][0]["text"] == "No loans at all"
    listed = served.get("/logs").json()["records"][3:]
    assert listed == json.loads(before[0])["records"]
    assert read_everything(served, ids)[1:] == before[1:]


def test_an_unknown_decision_has_no_letter(client: Client) -> None:
    assert client.get("/predictions/none/letter.pdf").status_code == 404


def test_a_service_without_its_creditor_says_which_setting_is_missing(
    client: Client, case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDIT_PD_REGULATOR")
    number = client.post("/predict", json=case("decline")).json()["prediction_id"]
    answer = client.get(f"/predictions/{number}/letter.pdf")
    assert answer.status_code == 409
    assert "set CREDIT_PD_REGULATOR" in errors(answer)[""]


def test_the_command_writes_the_same_letter(
    client: Client, ledger: Ledger, case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = client.post("/predict", json=case("decline")).json()["prediction_id"]
    database = ["--database", ledger.engine.url.render_as_string(hide_password=False)]
    for suffix in ("html", "pdf"):
        output = tmp_path / f"letter.{suffix}"
        assert command.main([*database, "--output", str(output), number]) == 0
        assert output.read_bytes() == client.get(f"/predictions/{number}/letter.{suffix}").content
    assert command.main([*database, number]) == 0
    assert "We have denied" in capsys.readouterr().out
    assert command.main([*database, "none"]) == 2
    assert command.main([*database, "--output", "letter.doc", number]) == 2
    printed = capsys.readouterr().err
    assert printed.splitlines() == [
        "letters: no decision has the id none",
        "letters: --output must end in .html or .pdf; got letter.doc",
    ]
