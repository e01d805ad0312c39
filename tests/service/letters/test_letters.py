"""What letters say, and what they never say: read from the PDF as an applicant would read it."""

from __future__ import annotations

import io
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from service.letters.content import Record, letter_about
from service.letters.creditor import Creditor, LetterError, creditor_of
from service.letters.pdf import pdf_of
from service.letters.rendering import Templates
from service.settings import Settings
from tests.support.fakes.creditor import CREDITOR

JURISDICTIONS = ("us", "eu")
POLICY = {
    "approve_below": 0.123457,
    "decline_from": 0.234568,
    "margin": 0.087654,
    "loss_given_default": 0.543216,
    "pdo": 20.0,
    "base_score": 600.0,
    "base_odds": 30.0,
    "rules": [{"rule": "age >= 99", "decision": "decline", "reason": "A rule applies"}],
    "ratings": {"A": 0.0111, "Zz": 1.0},
}
PDS = {"approve": 0.045678, "refer": 0.198765, "decline": 0.456789}
REASONS = [
    {"field": "income", "text": "The income is low (1,200; approved applicants usually have more)"},
    {"field": "amount", "text": "The loan is large"},
]
OFFICER = {
    "id": "0195d2c0-0000-7000-8000-000000000002",
    "time": "2026-03-04T10:00:00.000000Z",
    "kind": "override",
    "author": "Olga Officer",
    "reason": "The payslips <b>could not</b> be verified",
}


def record(decision: str, officer: str = "", **changes: Any) -> dict[str, Any]:
    """A recorded decision with everything in it that must not leave."""
    return {
        "id": "0195d2c0-0000-7000-8000-000000000001",
        "time": "2026-02-03T23:59:59.123456Z",
        "kind": "decision",
        "application": {"sex": "female", "income": 1234567.5, "purpose": "boat-secret"},
        "default_probability": PDS[decision],
        "prediction": 1,
        "credit_score": 517.0,
        "rating": "Zz",
        "decision": decision,
        "reasons": [] if decision == "approve" else REASONS,
        "identity": {"model": "modelhash0123456", "policy": "policyhash012345", "image": "img"},
        "hash": "f" * 64,
        "policy": POLICY,
        "overrides": [OFFICER | {"decision": officer}] if officer else [],
        "outcomes": [{"id": "x", "bad": 1}],
    } | changes


def creditor(jurisdiction: str = "us", **changes: str) -> Creditor:
    settings = CREDITOR | {"CREDIT_PD_JURISDICTION": jurisdiction} | changes
    return creditor_of(Settings.model_validate(settings))


def html_of(about: Record, jurisdiction: str = "us", folder: str = "", **changes: str) -> str:
    return Templates(folder).letter(letter_about(about, creditor(jurisdiction, **changes)))


@cache
def pdf_text(html: str) -> str:
    """The words of a page's PDF, with single spaces."""
    reader = PdfReader(io.BytesIO(pdf_of(html)))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def text_of(about: Record, jurisdiction: str = "us") -> str:
    return pdf_text(html_of(about, jurisdiction))


CASES = {
    "approve": record("approve"),
    "refer": record("refer"),
    "decline": record("decline"),
    "refer then approve": record("refer", "approve"),
    "refer then decline": record("refer", "decline"),
}


@pytest.mark.parametrize("jurisdiction", JURISDICTIONS)
@pytest.mark.parametrize("name", CASES)
def test_nothing_internal_and_no_protected_attribute_is_in_a_letter(
    name: str, jurisdiction: str
) -> None:
    about = CASES[name]
    text = text_of(about, jurisdiction) + html_of(about, jurisdiction)
    figures = [*PDS.values(), *(v for v in POLICY.values() if isinstance(v, float) and v < 1)]
    for secret in (*figures, *(round(100 * figure, 1) for figure in figures)):
        assert str(secret) not in text
    for secret in ("female", "1234567", "boat-secret", "modelhash", "policyhash", "Zz", "ffff"):
        assert secret not in text
    assert "Olga" not in text
    assert not re.search(r"probability|default|cut-off|margin\b(?!:)", text_of(about, jurisdiction))


@pytest.mark.parametrize("jurisdiction", JURISDICTIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_letter_names_creditor_decision_and_dates(name: str, jurisdiction: str) -> None:
    about = CASES[name] | {"reference": "A/2026 <41>"}
    text = text_of(about, jurisdiction)
    assert "First Lending <Bank> & Sons" in text
    assert "Springfield, IL 62701" in text
    assert "1-800-555-0100" in text
    assert about["id"] in text.replace("- ", "-")
    assert "A/2026 <41>" in text
    day = {"us": ("February 3, 2026", "March 4, 2026"), "eu": ("3 February 2026", "4 March 2026")}
    assert day[jurisdiction][bool(about["overrides"])] in text


@pytest.mark.parametrize("jurisdiction", JURISDICTIONS)
def test_a_notice_of_a_decline_states_the_recorded_reasons(jurisdiction: str) -> None:
    text = text_of(CASES["decline"], jurisdiction)
    for reason in REASONS:
        assert reason["text"] in text
    assert "517" in text
    assert "-97" in text  # the lowest and the highest score on the policy's scale
    assert "1100" in text


def test_a_notice_for_the_united_states_states_the_rights_of_the_sample_form() -> None:
    text = text_of(CASES["decline"])
    for clause in (
        "We have denied your application for credit",
        "Example Credit Reports, P.O. Box 1, Atlanta",
        "The reporting agency played no part in our decision",
        "no later than 60 days after you receive this notice",
        "right to dispute the matter with the reporting agency",
        "Key factors that adversely affected your credit score",
        "The federal Equal Credit Opportunity Act prohibits creditors from discriminating",
        "Bureau of Supervision, 1700 G Street NW",
    ):
        assert clause in text


def test_a_notice_for_the_union_states_the_rights_of_the_directive() -> None:
    text = text_of(CASES["decline"], "eu")
    for clause in (
        "This decision is based on automated processing of your personal data",
        "(EU) 2023/2225",
        "right to ask us for the intervention of a person",
        "clear and comprehensible explanation",
        "express your own point of view",
        "ask us to review",
        "contest the decision",
        "Database that we consulted",
        "Regulation (EU) 2016/679",
        "debt advisory",
    ):
        assert clause in text


@pytest.mark.parametrize("jurisdiction", JURISDICTIONS)
def test_the_letter_of_an_overridden_case_states_the_final_outcome(jurisdiction: str) -> None:
    approved = text_of(CASES["refer then approve"], jurisdiction)
    assert "We have approved your application" in approved
    assert not re.search("denied|cannot grant|counted against", approved)
    assert "payslips" not in approved
    declined = text_of(CASES["refer then decline"], jurisdiction)
    assert re.search("We have denied|We cannot grant", declined)
    assert "approved your" not in declined
    reason = declined.index("The payslips <b>could not</b> be verified")
    assert reason < declined.index(REASONS[0]["text"])


@pytest.mark.parametrize("jurisdiction", JURISDICTIONS)
def test_a_letter_about_a_referral_decides_nothing(jurisdiction: str) -> None:
    text = text_of(CASES["refer"], jurisdiction)
    assert "We have not decided about it yet" in text
    assert not re.search("denied|cannot grant|have approved|517", text)
    assert REASONS[0]["text"] not in text


def test_at_most_four_reasons_are_stated() -> None:
    many = [{"field": str(i), "text": f"Reason number {i}"} for i in range(6)]
    letter = letter_about(record("decline", reasons=many), creditor())
    assert letter.reasons == tuple(f"Reason number {i}" for i in range(4))


def test_a_score_is_disclosed_only_where_it_decided() -> None:
    """A rule declined whatever the score: the PD alone would have approved."""
    by_rule = record(
        "decline",
        default_probability=0.01,
        reasons=[{"field": "age", "text": "A rule applies"}, REASONS[1]],
    )
    letter = letter_about(by_rule, creditor())
    assert letter.score is None
    assert letter.reasons == ("A rule applies", "The loan is large")
    assert letter.key_factors == ("The loan is large",)
    assert "517" not in text_of(by_rule)


def test_what_people_typed_is_text_and_never_markup() -> None:
    html = html_of(CASES["refer then decline"] | {"reference": "<script>alert(1)</script>"})
    assert "<b>could" not in html
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "First Lending &lt;Bank&gt; &amp; Sons" in html


def test_a_letter_loads_nothing() -> None:
    for about in CASES.values():
        html = html_of(about)
        assert not re.search(r"(src|href)=|url\(|@import|https?:", html)


def test_a_pdf_has_no_boxes_for_characters_that_no_font_has() -> None:
    page = html_of({**CASES["decline"], "reference": "A \U00010600 7"})
    assert "\U00010600" in page
    with pytest.raises(LetterError, match="no font of this machine has \U00010600; install one"):
        pdf_of(page)


@pytest.mark.parametrize("typed", ["tab\tx", "bell\x07x", "\ufeffx", "soft\u00adhyphen", "✔\ufe0f"])
def test_a_character_that_is_not_seen_needs_no_font(typed: str) -> None:
    assert pdf_of(html_of({**CASES["decline"], "reference": typed})).startswith(b"%PDF")


def test_no_agency_is_named_where_none_was_asked() -> None:
    for jurisdiction in JURISDICTIONS:
        html = html_of(CASES["decline"], jurisdiction, CREDIT_PD_BUREAU="None")
        assert not re.search("reporting agency|database|credit report", html)


def test_the_same_record_gives_the_same_bytes() -> None:
    html = html_of(CASES["decline"])
    assert pdf_of(html) == pdf_of(html)


def test_a_pdf_is_tagged_for_screen_readers() -> None:
    reader = PdfReader(io.BytesIO(pdf_of(html_of(CASES["decline"]))))
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert reader.metadata
    assert reader.metadata.title == "Notice of action taken on your application for credit"


@pytest.mark.parametrize("name", CREDITOR)
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(LetterError, match=f"set {name};"):
        creditor_of(Settings.model_validate(CREDITOR | {name: ""}))


def test_an_unknown_jurisdiction_lists_the_known_ones() -> None:
    with pytest.raises(LetterError, match="CREDIT_PD_JURISDICTION must be one of eu, us"):
        html_of(CASES["decline"], "mars")


def test_a_lender_replaces_templates_by_a_folder(tmp_path: Path) -> None:
    """One file replaced, one new jurisdiction; everything else is as shipped."""
    (tmp_path / "ch").mkdir()
    (tmp_path / "us").mkdir()
    (tmp_path / "logo.svg").write_text("<svg/>")
    own = '{% extends "us/letter.html" %}{% block title %}Own words{% endblock %}'
    (tmp_path / "us/refer.html").write_text(own)
    (tmp_path / "ch/decline.html").write_text('<img src="{{ image("logo.svg") }}">{{ reasons }}')
    folder = str(tmp_path)
    assert "<h1>Own words</h1>" in html_of(CASES["refer"], folder=folder)
    assert "We have denied" in html_of(CASES["decline"], folder=folder)
    assert "data:image/svg+xml;base64," in html_of(CASES["decline"], "ch", folder)
    with pytest.raises(LetterError, match="must be one of ch, eu, us"):
        html_of(CASES["decline"], "mars", folder)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ default_probability }}", "'default_probability' is undefined"),
        ("{{ application.sex }}", "'application' is undefined"),
        ("{{ reasons.__class__ }}", "unsafe"),
        ("{{ image('../secret') }}", "secret"),
        ("{% if %}", "Expected an expression"),
    ],
)
def test_a_template_sees_the_letter_and_nothing_else(
    tmp_path: Path, template: str, words: str
) -> None:
    (tmp_path / "own/us").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (tmp_path / "own/us/decline.html").write_text(template)
    with pytest.raises(LetterError, match=words):
        html_of(CASES["decline"], folder=str(tmp_path / "own"))


@pytest.mark.parametrize("text", [b"{{ 1 / 0 }}", b"{{ reasons + 1 }}", b"caf\xe9", b"{% if %}"])
def test_a_faulty_template_of_the_lender_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "us").mkdir()
    (tmp_path / "us" / "decline.html").write_bytes(text)
    with pytest.raises(LetterError, match=r"the template us/decline\.html cannot be filled: "):
        html_of(CASES["decline"], folder=str(tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LetterError, match="CREDIT_PD_LETTERS must be a folder"):
        html_of(CASES["decline"], folder=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"policy": None}, "policy that was not recorded"), ({"reasons": []}, "no recorded reason")],
)
def test_a_notice_that_would_lack_what_the_law_asks_for_is_not_written(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(LetterError, match=words):
        letter_about(record("decline", **changes), creditor())


def test_a_letter_is_made_from_json_alone() -> None:
    about = json.loads(json.dumps(CASES["decline"]))
    assert html_of(about) == html_of(CASES["decline"])
