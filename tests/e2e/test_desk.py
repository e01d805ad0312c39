"""People log in on the page and decide with four eyes, in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

if os.environ.get("REQUIRE_REAL_PARTS") != "1":
    pytest.importorskip("playwright.sync_api")
    pytest.importorskip("axe_playwright_python")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from service.users.api_keys import new_key, write_file
from tests.support.fakes.identity_provider import CLIENT, running_provider

from .processes import tool
from .served import Served, other_book, serve

pytestmark = pytest.mark.e2e
expect.set_options(timeout=20_000)  # milliseconds, of a busy machine
NEXT_YEAR = datetime.now(UTC).date() + timedelta(365)
PEOPLE = {
    "a.reader": ["read"],
    "a.maker": ["decide", "read", "review"],
    "b.checker": ["read", "approve"],
    "c.both": ["decide", "read", "review", "approve"],
}
KEYS = {name: new_key(name, roles, NEXT_YEAR) for name, roles in PEOPLE.items()}
READER = KEYS["a.reader"][0]


def violations(page: Page) -> list[str]:
    broken = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in broken for node in one["nodes"]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limit = {"field": "amount", "above": 0}
    folder: Path = other_book(tmp_path_factory.mktemp("log-in"), policy__override_limit=limit)
    write_file(folder / "keys", [kept for _, kept in KEYS.values()])
    with running_provider() as provider:
        settings = {
            "CREDIT_PD_OIDC_ISSUER": provider.issuer,
            "CREDIT_PD_OIDC_CLIENT": CLIENT,
            "CREDIT_PD_URL": "{url}",
            "CREDIT_PD_USERS": str(folder / "keys"),
        }
        with serve(folder, READER, **settings) as running:
            yield running


@pytest.fixture
def page(served: Served) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(
            executable_path=tool("chromium"), args=["--no-sandbox"], timeout=120_000
        )
        opened = browser.new_page()
        opened.goto(served.url)
        yield opened
        browser.close()


def test_a_person_logs_in_decides_and_logs_out(page: Page, served: Served) -> None:
    page.get_by_role("link", name="Log in").click()
    expect(page.locator("#caller")).to_contain_text("J. Officer")
    expect(page.get_by_role("button", name="Decide", exact=True)).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Fill in an example").click()
    page.get_by_role("button", name="Decide", exact=True).click()
    expect(page.locator(".record a")).to_be_visible()
    recorded = served.ask("GET", "logs")["records"][0]
    assert recorded["caller"] == {
        "name": "J. Officer",
        "type": "person",
        "subject": "248289761001",
    }
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    assert page.context.cookies() == []


def test_a_reader_is_offered_no_form(page: Page) -> None:
    page.get_by_label("Key").fill(READER)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#caller")).to_contain_text("a.reader")
    pages = page.get_by_role("navigation", name="Pages")
    expect(pages.get_by_role("link", name="Decisions")).to_be_visible()
    expect(pages.get_by_role("link", name="Application")).to_be_hidden()
    expect(page.get_by_role("button", name="Decide", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Key")).to_be_visible()


def test_a_failed_log_in_is_said_and_reflects_nothing(page: Page, served: Served) -> None:
    page.on("dialog", lambda _: pytest.fail("a script of the address ran"))
    page.goto(f"{served.url}callback?error=<img src=x onerror=alert(1)>&state=x")
    expect(page.get_by_text("You were not logged in.")).to_be_visible()
    assert "onerror" not in page.content()


def enter(page: Page, name: str) -> None:
    page.get_by_label("Key").fill(KEYS[name][0])
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#caller")).to_contain_text(name)


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Key")).to_be_visible()


def propose(page: Page, served: Served) -> str:
    """Decide about a referred case as an officer who may not do so alone; returns its id."""
    enter(page, "a.maker")
    asker = Served(served.url, served.golden, {"x-api-key": KEYS["a.maker"][0]}, served.supervisor)
    case = served.case("refer")
    identifier = str(asker.ask("POST", "predict", json=case)["prediction_id"])
    page.goto(f"{served.url}#/decision/{identifier}")
    page.get_by_role("radio", name="Approve").check()
    page.get_by_role("textbox", name="Reason").fill("A guarantor signed")
    page.get_by_role("button", name="Record the decision").click()
    expect(page.get_by_role("heading", name="A second officer must approve")).to_be_visible()
    return identifier


def test_a_second_officer_approves_what_the_first_has_proposed(page: Page, served: Served) -> None:
    identifier = propose(page, served)
    expect(page.locator("#detail .verdict")).to_have_text("Decision: Refer")
    expect(page.get_by_role("button", name="Record the answer")).to_have_count(0)
    log_out(page)
    enter(page, "b.checker")
    page.get_by_role("link", name="Queue").click()
    waiting = page.locator("#queue .log a", has_text="a.maker proposes to approve")
    assert violations(page) == []
    waiting.first.click()
    page.goto(f"{served.url}#/decision/{identifier}")
    page.get_by_role("radio", name="Yes, approve the proposal").check()
    assert violations(page) == []
    page.get_by_role("button", name="Record the answer").click()
    expect(page.get_by_role("heading", name="Final decision: Approve")).to_be_focused()
    expect(page.locator("#detail")).to_contain_text("Approved by b.checker")
    assert violations(page) == []
    record = served.ask("GET", f"predictions/{identifier}")
    (override,) = record["overrides"]
    assert (override["author"], override["approver"]) == ("a.maker", "b.checker")


def test_a_rejection_needs_a_comment_and_leaves_the_case_open(page: Page, served: Served) -> None:
    identifier = propose(page, served)
    log_out(page)
    enter(page, "c.both")
    page.goto(f"{served.url}#/decision/{identifier}")
    page.get_by_role("radio", name="No, reject it").check()
    page.get_by_role("button", name="Record the answer").click()
    expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
    page.get_by_role("textbox", name="Comment").fill("Too large")
    page.get_by_role("button", name="Record the answer").click()
    expect(page.get_by_role("heading", name="A proposal was rejected")).to_be_visible()
    expect(page.get_by_role("heading", name="Decide this case")).to_be_visible()
    assert violations(page) == []
    assert served.ask("GET", f"predictions/{identifier}")["final_decision"] == "refer"


def test_notes_carry_the_name_of_the_log_in(page: Page, served: Served) -> None:
    identifier = propose(page, served)
    page.get_by_text("Add a note").click()
    expect(page.get_by_role("textbox", name="Your name")).to_have_count(0)
    page.get_by_role("textbox", name="Note").fill("Asked for payslips")
    page.get_by_role("button", name="Add the note").click()
    expect(page.locator(".notes")).to_contain_text("a.maker")
    (note,) = served.ask("GET", f"predictions/{identifier}")["notes"]
    assert (note["author"], note["caller"]["name"]) == ("a.maker", "a.maker")


def test_logging_out_forgets_what_was_entered(page: Page) -> None:
    enter(page, "a.maker")
    page.locator("[name=amount]").fill("4711")
    log_out(page)
    enter(page, "c.both")
    expect(page.locator("[name=amount]")).to_have_value("")
