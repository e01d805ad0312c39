"""The page of a book with a history: lines are pasted, or looked up by a key."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator

import pytest

if os.environ.get("REQUIRE_REAL_PARTS") != "1":
    pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.support.books import HISTORY, Project, with_payments

from .processes import tool
from .served import SETTINGS, Served, serve, trained

pytestmark = pytest.mark.e2e
expect.set_options(timeout=20_000)  # milliseconds, of a busy machine
SOURCE = "    source: {kind: sql, table: payments, as_of: loads.loaded_at, max_age: 2 days}\n"
PASTED = "paid_on\tlate\tstatus\n2021-01-02\t9\topen\n2021-02-02\t0\topen\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("history")
    with sqlite3.connect(folder / "features.sqlite") as connection:
        connection.execute("CREATE TABLE payments (person TEXT, paid_on DATE, late INT, status)")
        connection.execute("CREATE TABLE loads (loaded_at TIMESTAMP)")
        connection.execute("INSERT INTO loads VALUES (datetime('now'))")
        lines = [("P7", f"2021-0{month}-02", 3 * month, "open") for month in (1, 2, 3)]
        connection.executemany("INSERT INTO payments VALUES (?, ?, ?, ?)", lines)
    connection.close()
    contract = HISTORY.replace("    date: paid_on\n", f"    date: paid_on\n{SOURCE}")
    project = Project(folder, contract, **SETTINGS).write(with_payments(later=False, rows=1200))
    url = f"sqlite:///{folder}/features.sqlite"
    with serve(trained(project), CREDIT_PD_FEATURES_URL=url) as served:
        yield served


@pytest.fixture
def page(service: Served) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=tool("chromium"), args=["--no-sandbox"], timeout=120_000
        )
        page = browser.new_page()
        page.goto(service.url)
        page.get_by_role("button", name="Fill in an example").click()
        field(page, "granted").fill("2021-06-30")
        yield page
        browser.close()


def field(page: Page, name: str) -> Locator:
    return page.locator(f"[name={name}]")


def decide(page: Page) -> None:
    page.get_by_role("button", name="Decide", exact=True).click()


def recorded(page: Page, service: Served) -> dict[str, object]:
    """The entry of the decision that the page shows."""
    expect(page.get_by_role("heading", name="What if?")).to_be_visible()
    identifier = page.locator(".record a").inner_text()
    return dict(service.ask("GET", f"predictions/{identifier}"))


def test_lines_are_looked_up_by_the_key_and_shown_with_their_age(
    page: Page, service: Served
) -> None:
    field(page, "payments").fill("")
    field(page, "person").fill("P7")
    decide(page)
    entry = recorded(page, service)
    assert [line["late"] for line in entry["application"]["payments"]] == [3, 6, 9]  # type: ignore[index]
    page.locator(".record a").click()
    expect(page.locator("#detail")).to_contain_text("3 lines, as of")
    expect(page.locator("#detail")).to_contain_text("P7")


def test_pasted_lines_come_before_the_key(page: Page, service: Served) -> None:
    field(page, "payments").fill(PASTED)
    field(page, "person").fill("P7")
    decide(page)
    entry = recorded(page, service)
    assert [line["late"] for line in entry["application"]["payments"]] == [9, 0]  # type: ignore[index]
    assert "sources" not in entry


def test_neither_lines_nor_a_key_is_asked_for(page: Page) -> None:
    field(page, "payments").fill("")
    decide(page)
    expect(field(page, "payments")).to_have_attribute("aria-invalid", "true")
