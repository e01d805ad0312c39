"""The dashboard in a real browser: every tab draws, on an empty ledger and a small one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

if os.environ.get("REQUIRE_REAL_PARTS") != "1":
    pytest.importorskip("playwright.sync_api")
    pytest.importorskip("axe_playwright_python")
    pytest.importorskip("streamlit")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from service.ledger import Ledger
from tests.service.dashboard.test_dashboard import address_in, fill, write_project

from .processes import ROOT, free_port, spawn, stop, tool, wait_until
from .test_page import QUIET

pytestmark = pytest.mark.e2e

TABS = ("Decisions", "Drift", "Performance", "Overrides", "Model")
MORE_TABS = ("Fairness", "Challenger", "Audit")
# The charts and tables of each tab of a small ledger; other tabs draw more as there is more.
LEAST = {
    "Decisions": (3, 1),
    "Drift": (1, 1),
    "Performance": (2, 0),
    "Overrides": (0, 1),
    "Model": (0, 2),
}
DESKTOP, PHONE = {"width": 1366, "height": 2000}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=tool("chromium"), args=QUIET.split())
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def empty(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The dashboard of an empty ledger."""
    with dashboard(chromium, tmp_path_factory.mktemp("empty"), lambda ledger: None) as page:
        yield page


@pytest.fixture(scope="module")
def small(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The dashboard of a ledger with some of everything."""
    with dashboard(chromium, tmp_path_factory.mktemp("small"), fill) as page:
        yield page


@contextmanager
def dashboard(chromium: Browser, folder: Path, write: Callable[[Ledger], object]) -> Iterator[Page]:
    """The first page of a dashboard that runs in a folder, on what is written to its ledger."""
    ledger = Ledger(address_in(write_project(folder)))
    ledger.prepare()
    write(ledger)
    ledger.close()
    port = free_port()
    environment = {"DASHBOARD_PORT": str(port), "PYTHONPATH": str(ROOT)}
    environment["DATABASE_URL"] = address_in(folder)
    command = [sys.executable, "-c", f"import os; os.chdir({str(folder)!r}); "]
    command[-1] += "from service.dashboard.__main__ import main; main()"
    process = spawn(command, folder / "log", environment)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url), 60, "the start of the dashboard")
        page = chromium.new_page(viewport=DESKTOP)
        page.goto(url)
        expect(page.get_by_text("Open incidents")).to_be_visible(timeout=60_000)
        yield page
        page.close()
    finally:
        stop(process)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_stcore/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def drawn(page: Page, tab: str) -> tuple[int, int]:
    """Charts and tables that a tab shows, once it is at rest; no exception among them."""
    page.get_by_role("tab", name=tab).click()
    expect(page.locator("[data-testid=stStatusWidget]")).to_have_count(0, timeout=60_000)
    shown = page.get_by_role("tabpanel", name=tab)
    expect(shown.locator("[data-testid=stElementContainer]").first).to_be_visible(timeout=60_000)
    expect(page.locator("[data-testid=stStatusWidget]")).to_have_count(0, timeout=60_000)
    page.wait_for_timeout(1000)
    assert page.locator("[data-testid=stException]").count() == 0
    charts = shown.locator(
        "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg"
    )
    return charts.count(), shown.locator("[data-testid=stDataFrame]").count()


def reaches(drawings: tuple[int, int], least: tuple[int, int]) -> bool:
    """Whether there are as many charts and as many tables."""
    return drawings[0] >= least[0] and drawings[1] >= least[1]


def drawn_whole(page: Page, tab: str, least: tuple[int, int]) -> tuple[int, int]:
    """What a tab shows, once that is as much as expected, or after half a minute.

    The page is loaded again once: Chromium drops scripts (ERR_NETWORK_CHANGED) while another test
    adds a network interface.
    """
    for again in (True, False):
        with suppress(TimeoutError):
            wait_until(lambda: reaches(drawn(page, tab), least), 15, f"the drawings of {tab}")
            break
        if again:
            page.reload()
    return drawn(page, tab)


def test_every_tab_draws_its_charts_and_tables(small: Page) -> None:
    drawings = {tab: drawn_whole(small, tab, least) for tab, least in LEAST.items()}
    assert all(reaches(drawings[tab], least) for tab, least in LEAST.items()), drawings
    assert drawings["Overrides"] == (0, 1)
    assert drawings["Model"] == (0, 2)


def test_an_empty_ledger_has_nothing_to_draw_and_no_error(empty: Page) -> None:
    assert {tab: drawn(empty, tab) for tab in TABS} == dict.fromkeys(TABS, (0, 0))


@pytest.mark.parametrize("ledger", ["empty", "small"])
def test_axe_finds_no_violation_in_light_and_dark(
    ledger: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(ledger)
    violations = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for tab in (*TABS, *MORE_TABS):
            drawn(page, tab)
            violations[scheme, tab] = [
                each["id"] for each in Axe().run(page).response["violations"]
            ]
    assert {key: ids for key, ids in violations.items() if ids} == {}


def excess_width(page: Page) -> int:
    """Pixels by which the page is wider than what it may take."""
    element = "document.querySelector('[data-testid=stMain]')"
    return int(page.evaluate(f"() => {element}.scrollWidth - {element}.clientWidth"))


def test_on_a_phone_nothing_is_wider_than_the_screen(small: Page) -> None:
    small.set_viewport_size(PHONE)
    for tab in (*TABS, *MORE_TABS):
        drawn_whole(small, tab, LEAST.get(tab, (0, 0)))
        wait_until(lambda: excess_width(small) <= 0, 15, f"{tab} to be no wider than the screen")
    small.set_viewport_size(DESKTOP)
