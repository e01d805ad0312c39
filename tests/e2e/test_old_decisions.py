"""An old decision is shown as it was, after another model and another policy came, in Chromium."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import httpx
import pytest

if os.environ.get("REQUIRE_REAL_PARTS") != "1":
    pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Page, expect, sync_playwright

from tests.support.books import Project, book
from tests.support.fakes.creditor import CREDITOR

from .processes import tool
from .served import SETTINGS, Served, serve, trained
from .test_page import QUIET

pytestmark = pytest.mark.e2e
expect.set_options(timeout=20_000)  # milliseconds, of a busy machine

LATER: dict[str, dict[str, Any]] = {
    "policy": {"policy__cut_off": 0.4, "policy__pdo": 45, "policy__base_score": 500},
    "model": {"train__lightgbm__num_leaves": 5, "train__lightgbm__learning_rate": 0.2},
}
PARTS = (".verdict", ".banner p", ".figures", "figure.score", ".reasons", ".pairs.code")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=tool("chromium"), args=QUIET.split(), timeout=120_000
        )
        yield chromium.new_page()
        chromium.close()


def shown(page: Page, served: Served, decision: str) -> dict[str, str]:
    """What the page shows of a recorded decision, and its letter."""
    page.goto(f"{served.url}#/decision/{decision}")
    page.reload()
    detail = page.locator("#detail")
    expect(detail.locator(".verdict").first).to_be_visible()
    expect(detail.locator(".effects, .history").first).to_be_visible()
    told = {part: "\n".join(detail.locator(part).all_inner_texts()) for part in PARTS}
    told["picture"] = detail.locator("svg.scale").inner_html()
    told["letter"] = document(served, decision, "letter")
    return told


def document(served: Served, decision: str, name: str) -> str:
    answer = httpx.get(f"{served.url}v1/predictions/{decision}/{name}.html", timeout=30)
    return answer.raise_for_status().text


def project(folder: Path, **changes: Any) -> Path:
    return trained(Project(folder, **SETTINGS | changes).write(book(1200, seed=8)))


@pytest.mark.parametrize("change", LATER)
def test_an_old_decision_is_shown_as_it_was(page: Page, tmp_path: Path, change: str) -> None:
    ledger = {"DATABASE_URL": f"sqlite:///{tmp_path}/ledger.db", **CREDITOR}
    with serve(project(tmp_path / "then"), **ledger) as served:
        kinds = ("decline", "refer")
        answers = [served.ask("POST", "predict", json=served.case(kind)) for kind in kinds]
        ids = [answer["prediction_id"] for answer in answers]
        before = [shown(page, served, each) for each in ids]
        expect(page.locator("#detail .effects")).to_be_visible()
    with serve(project(tmp_path / "now", **LATER[change]), **ledger) as served:
        after = [shown(page, served, each) for each in ids]
        expect(page.locator("#detail .history")).to_contain_text("not the one that decided")
        expect(page.locator("#detail .effects")).to_have_count(0)
        explained = [document(served, each, "explanation") for each in ids]
    assert after == before
    for answer, text in zip(answers, explained, strict=True):
        assert all(escape(reason["text"]) in text for reason in answer["reasons"])
