"""The explanation for the applicant: what counted, what would change it, and nothing internal."""

from __future__ import annotations

import dataclasses
import html as entities
import re
from pathlib import Path
from typing import Any

import pytest

from service.decision.advice.explanation import explain
from service.decision.engine import Engine
from service.letters.creditor import Creditor, creditor_of
from service.letters.explanation import (
    change_in_words,
    changes_in_words,
    explanation_about,
    in_words,
)
from service.letters.rendering import Templates
from service.settings import Settings
from tests.support.books import Project
from tests.support.fakes.creditor import CREDITOR
from tests.support.trained.winners import WORDED, crown, draw

OFFICER = {"time": "2026-03-04T10:00:00Z", "reason": "Payslips are missing", "author": "Olga"}


@pytest.fixture(scope="module")
def engine(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("explained")
    worded = Project(folder / "fitted", WORDED)
    for table in (fitted_book.data / "raw").iterdir():
        (worded.data / "raw").mkdir(exist_ok=True)
        (worded.data / "raw" / table.name).write_bytes(table.read_bytes())
    worded.run("preprocess", "featurize", "lightgbm")
    return Engine.load(crown(worded, "lightgbm", folder / "own", policy__refer_band=0.5))


@pytest.fixture(scope="module")
def creditor() -> Creditor:
    return creditor_of(Settings.model_validate(CREDITOR | {"CREDIT_PD_JURISDICTION": "eu"}))


def record(engine: Engine, application: dict[str, Any], **changes: Any) -> dict[str, Any]:
    decided = engine.decide(application)
    answer = {name: getattr(decided, name) for name in decided.__slots__}
    place = {"id": "0195d2c0-0000-7000-8000-000000000001", "time": "2026-02-03T10:00:00Z"}
    kept = {"application": application, "overrides": [], "policy": engine.policy.in_full}
    return answer | place | kept | changes


@pytest.fixture(scope="module")
def records(engine: Engine) -> list[dict[str, Any]]:
    return [record(engine, each | {"sex": "F"}) for each in draw(engine.applications, 60, seed=5)]


def words(content: dict[str, Any]) -> str:
    page = re.sub(r"<style>.*?</style>", "", Templates().explanation(content), flags=re.DOTALL)
    return " ".join(entities.unescape(re.sub("<[^>]+>", " ", page)).split())


def test_an_explanation_says_what_counted_against_and_in_favour(
    engine: Engine, creditor: Creditor, records: list[dict[str, Any]]
) -> None:
    favourable = 0
    for each in records:
        page = words(explanation_about(each, creditor, engine))
        for reason in each["reasons"]:
            assert reason["text"] in page
        told = explain(engine, each["application"])
        stated = page[page.find("in its favour") :] if "in its favour" in page else ""
        favourable += bool(stated)
        strongest = [f["title"] for f in told["contributions"] if f["contribution"] <= -0.1][:4]
        assert all(title in stated for title in strongest)
    assert favourable


def test_no_internal_figure_and_no_protected_attribute_is_explained(
    engine: Engine, creditor: Creditor, records: list[dict[str, Any]]
) -> None:
    for each in records:
        page = words(explanation_about(each, creditor, engine))
        told = explain(engine, each["application"])
        figures = [each["default_probability"], told["margin"], told["base_value"]]
        figures += [fact["contribution"] for fact in told["contributions"]]
        assert not any(f"{figure:.3f}" in page for figure in figures)
        assert not re.search(
            r"\bF\b|log-odds|probability|[0-9a-f]{16}", page.replace(each["id"], "")
        )


def test_what_would_change_the_outcome_is_the_proved_advice_of_the_engine(
    engine: Engine, creditor: Creditor, records: list[dict[str, Any]]
) -> None:
    advised = 0
    for each in records:
        content = explanation_about(each, creditor, engine)
        advice = explain(engine, each["application"])["what_would_change_it"]
        if each["decision"] == "approve" or not advice["proved"]:
            assert content["changes"] == ()
            continue
        advised += bool(advice["ways"])
        page = words(content)
        for way in advice["ways"]:
            for change in way["changes"]:
                assert change_in_words(change) in page
    assert advised


def test_changes_that_are_not_proved_are_not_said_to_be_none(
    engine: Engine,
    creditor: Creditor,
    records: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declined = next(
        each
        for each in records
        if each["decision"] == "decline"
        and explain(engine, each["application"])["what_would_change_it"]["ways"]
    )

    def unproved(engine: Engine, application: dict[str, Any]) -> dict[str, Any]:
        answer = explain(engine, application)
        return answer | {"what_would_change_it": answer["what_would_change_it"] | {"proved": False}}

    monkeypatch.setattr("service.letters.explanation.explain", unproved)
    content = explanation_about(declined, creditor, engine)
    page = words(content)
    assert content["changes"] == ()
    assert "no small change" not in page
    assert "we have not established which of them is the smallest" in page


def test_another_model_or_policy_explains_nothing(
    engine: Engine, creditor: Creditor, records: list[dict[str, Any]]
) -> None:
    declined = next(each for each in records if each["decision"] == "decline")
    others = [
        declined | {"identity": declined["identity"] | {"model": "another"}},
        declined | {"identity": declined["identity"] | {"policy": "another"}},
        declined | {"default_probability": 0.99},
        declined | {"application": {"amount": -1}},
    ]
    for each in others:
        content = explanation_about(each, creditor, engine)
        assert (content["in_favour"], content["changes"]) == ((), ())
        page = words(content)
        assert "We assess applications in another way today" in page
        assert declined["reasons"][0]["text"] in page
    assert "in another way today" in words(explanation_about(declined, creditor, None))


@pytest.mark.parametrize("final", ["approve", "decline"])
def test_an_explanation_follows_the_officer(
    engine: Engine, creditor: Creditor, records: list[dict[str, Any]], final: str
) -> None:
    referred = next(each for each in records if each["decision"] == "refer")
    page = words(
        explanation_about(
            referred | {"overrides": [OFFICER | {"decision": final}]}, creditor, engine
        )
    )
    assert ("Payslips are missing" in page) == (final == "decline")
    assert ("Your application is approved. A person" in page) == (final == "approve")
    assert "Olga" not in page


def test_every_jurisdiction_tells_how_to_reach_a_person(
    engine: Engine, creditor: Creditor, records: list[dict[str, Any]]
) -> None:
    for jurisdiction in Templates().jurisdictions():
        own = dataclasses.replace(creditor, jurisdiction=jurisdiction)
        page = words(explanation_about(records[0], own, engine))
        assert "How to speak to a person" in page
        assert "1-800-555-0100" in page
        assert re.search("Your right", page)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("Loan", "INR", 2560000, 2400000, None), "Loan: 2,400,000 INR instead of 2,560,000 INR"),
        (
            ("Share", "", 0.5, 0.125, 0.0625),
            "Share: 0.125 instead of 0.5, but no further than 0.0625",
        ),
        (("Owner", "", False, True, None), "Owner: yes instead of no"),
        (("Home", "", "Rented", "Owned", None), "Home: Owned instead of Rented"),
        (("Income", "EUR", None, 9.0, 9.0), "Income: 9 EUR instead of nothing stated"),
    ],
)
def test_a_change_is_a_sentence(change: tuple[Any, ...], sentence: str) -> None:
    keys = ("title", "unit", "from", "to", "until")
    assert change_in_words(dict(zip(keys, change, strict=True))) == sentence


def test_a_lender_replaces_the_explanation_too(
    engine: Engine, creditor: Creditor, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "explanation.html").write_text("Own: {{ in_favour | length }} {{ explained }}")
    content = explanation_about(records[0], creditor, engine)
    told = Templates(str(tmp_path)).explanation(content)
    assert told == f"Own: {len(content['in_favour'])} True"


def test_the_limit_of_one_change_of_two_names_its_condition() -> None:
    change = {"title": "Term", "unit": "months", "from": 60, "to": 50, "until": 35}
    other = change | {"title": "Loan", "unit": "INR", "from": 900, "to": 800, "until": None}
    assert changes_in_words([change]) == (
        "Term: 50 months instead of 60 months, but no further than 35 months",
    )
    assert changes_in_words([change, other])[0].endswith("than 35 months with the other as stated")
    assert changes_in_words([change, other])[1] == "Loan: 800 INR instead of 900 INR"


def test_a_fact_of_several_fields_names_the_fields_that_were_stated() -> None:
    values = [
        {"field": "months", "title": "Months overdue", "unit": "months", "value": 0},
        {"field": "days", "title": "Days overdue", "unit": "", "value": None},
        {"field": "share", "title": "Share overdue", "unit": "%", "value": 0.0},
    ]
    assert in_words("Overdue payments", values, {"months": 0, "days": None}) == (
        "Overdue payments (Months overdue 0 months; Days overdue not stated)"
    )
    assert in_words("Months overdue", values, {"months": 0}) == "Months overdue: 0 months"
    assert in_words("Share", values, {}) == "Share"
