"""The loan officer's page, in a real Chromium."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

if os.environ.get("REQUIRE_REAL_PARTS") != "1":
    pytest.importorskip("playwright.sync_api")
    pytest.importorskip("axe_playwright_python")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from .processes import tool
from .served import Served, loan_book, other_book, serve

pytestmark = pytest.mark.e2e
expect.set_options(timeout=20_000)  # milliseconds, of a busy machine

KEY = "an officer's key"
LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1366, "height": 900}},
    "dark": {"viewport": {"width": 1366, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True},
}
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


class Officer:
    """A loan officer at the page."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("request", lambda own: self.requests.append(own.url))

    def open(self, view: str = "") -> Page:
        self.page.goto(f"{self.served.url}{view}")
        return self.page

    def field(self, name: str) -> Locator:
        return self.page.locator(f"[name={name}]")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def fill(self, application: dict[str, Any]) -> None:
        for name, value in application.items():
            if self.field(name).evaluate("own => own.tagName") == "SELECT":
                self.field(name).select_option(label=str(value))
            else:
                self.field(name).fill(str(value))

    def decide(self, application: dict[str, Any]) -> str:
        """Decide about an application; gives its identifier."""
        self.open()
        self.fill(application)
        self.press("Decide")
        expect(self.page.get_by_role("heading", name="What if?")).to_be_visible()
        return self.page.locator(".record a").inner_text()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(loan_book(tmp_path_factory.mktemp("book"))) as served:
        yield served


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service of another contract that asks for a key."""
    digest = sha256(KEY.encode()).hexdigest()
    folder = other_book(tmp_path_factory.mktemp("other"))
    words = {
        "CREDIT_PD_PAGE_TITLE": "Lender Ltd",
        "CREDIT_PD_PAGE_SUBTITLE": "Ask the desk: 555-0100",
    }
    with serve(folder, KEY, CREDIT_PD_API_KEYS=digest, **words) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=tool("chromium"), args=QUIET.split(), timeout=120_000
        )
        yield browser
        browser.close()


@pytest.fixture(params=["desktop"])
def officer(request: pytest.FixtureRequest, browser: Browser, service: Served) -> Iterator[Officer]:
    with browser.new_context(**LOOKS[request.param], reduced_motion="reduce") as context:
        yield Officer(context.new_page(), service)


@pytest.fixture
def stranger(browser: Browser, locked: Served) -> Iterator[Officer]:
    """An officer at the service that asks for a key."""
    with browser.new_context(**LOOKS["desktop"], reduced_motion="reduce") as context:
        yield Officer(context.new_page(), locked)


@pytest.fixture(scope="module")
def fields(service: Served) -> dict[str, dict[str, Any]]:
    contract = service.ask("GET", "model-info")["contract"]
    return {f["name"]: f for f in contract["fields"] if f["known_at"] == "application"}


every_look = pytest.mark.parametrize("officer", LOOKS, indirect=True)


def refer(officer: Officer) -> str:
    return officer.decide(officer.served.case("refer"))


def violations(page: Page) -> list[str]:
    broken = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in broken for node in one["nodes"]]


def see_empty(officer: Officer) -> None:
    officer.open()
    expect(officer.page.get_by_role("button", name="Decide")).to_be_visible()


def see_errors(officer: Officer) -> None:
    see_empty(officer)
    officer.press("Decide")
    expect(officer.page.locator("[aria-invalid]").first).to_be_focused()


def see_approve(officer: Officer) -> None:
    officer.decide(officer.served.case("approve"))


def see_refer(officer: Officer) -> None:
    refer(officer)
    officer.press("Record the decision")
    officer.page.locator("details summary").click()
    officer.page.get_by_role("button", name=re.compile("^Show .* more$")).click()


def see_decline(officer: Officer) -> None:
    officer.decide(officer.served.case("decline"))


def see_recent(officer: Officer) -> None:
    refer(officer)
    officer.page.get_by_role("link", name="Decisions").click()
    expect(officer.page.locator(".log a").first).to_be_visible()


def see_queue(officer: Officer) -> None:
    refer(officer)
    officer.page.get_by_role("link", name="Queue").click()
    officer.page.locator("#queue").get_by_text("Filters").click()
    expect(officer.page.locator("#queue .log a").first).to_be_visible()


def see_override(officer: Officer) -> None:
    identifier = refer(officer)
    wish = {
        "prediction_id": identifier,
        "decision": "approve",
        "reason": "Seen",
        "author": "N. Officer",
    }
    officer.served.ask("POST", "overrides", json=wish)
    officer.open(f"#/decision/{identifier}")
    expect(officer.page.locator("#detail .effects")).to_be_visible()


def see_detail(officer: Officer) -> None:
    officer.open(f"#/decision/{refer(officer)}")
    expect(officer.page.locator("#detail .effects")).to_be_visible()


def see_trouble(officer: Officer) -> None:
    officer.page.route("**/model-info", lambda route: route.abort())
    officer.open()
    expect(officer.page.get_by_role("alert")).to_be_visible()


SIGHTS = [
    *(see_empty, see_errors, see_approve, see_refer, see_decline),
    *(see_recent, see_queue, see_detail, see_override, see_trouble),
]
sights = pytest.mark.parametrize("see", SIGHTS, ids=lambda see: see.__name__)


@every_look
@sights
def test_axe_finds_no_violation(officer: Officer, see: Callable[[Officer], None]) -> None:
    see(officer)
    assert violations(officer.page) == []


@pytest.mark.parametrize("officer", ["phone"], indirect=True)
@sights
def test_nothing_is_wider_than_a_phone(officer: Officer, see: Callable[[Officer], None]) -> None:
    see(officer)
    assert officer.page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("officer", ["phone"], indirect=True)
def test_the_documentation_is_no_wider_than_a_phone(officer: Officer) -> None:
    officer.open("docs")
    expect(officer.page.get_by_role("heading", name="API", exact=True)).to_be_visible()
    assert officer.page.evaluate("document.documentElement.scrollWidth") == 360


def test_nothing_comes_from_another_host(officer: Officer) -> None:
    see_refer(officer)
    assert {url.split("/")[2] for url in officer.requests} == {officer.served.url.split("/")[2]}


def test_the_page_keeps_its_own_content_security_policy(officer: Officer) -> None:
    see_refer(officer)
    assert officer.complaints == []


def test_the_form_has_the_fields_of_an_application(
    officer: Officer, fields: dict[str, dict[str, Any]]
) -> None:
    see_empty(officer)
    names = officer.page.locator("#form [name]").evaluate_all("all => all.map(one => one.name)")
    assert sorted(names) == sorted([*fields, "reference"])


def test_a_field_has_the_contracts_words(officer: Officer) -> None:
    see_empty(officer)
    box = officer.page.locator(".field", has=officer.field("delinquent_months"))
    expect(box).to_contain_text("Months in delinquency *")
    expect(box).to_contain_text("Of the months with a loan, those with a payment overdue")
    expect(box).to_contain_text("0 to 2,000")


def test_protected_attributes_stand_apart(
    officer: Officer, fields: dict[str, dict[str, Any]]
) -> None:
    see_empty(officer)
    group = officer.page.get_by_role("group", name="Recorded for fairness monitoring only")
    names = group.locator("[name]").evaluate_all("all => all.map(one => one.name)")
    assert names == [name for name, field in fields.items() if field["protected"]]


def test_the_example_is_accepted(officer: Officer) -> None:
    see_empty(officer)
    officer.press("Fill in an example")
    officer.press("Decide")
    expect(officer.page.locator(".verdict")).to_be_focused()


def test_what_was_filled_in_is_what_is_recorded(officer: Officer) -> None:
    application = officer.served.case("approve")
    record = officer.served.ask("GET", f"predictions/{officer.decide(application)}")
    assert record["application"] == application


@pytest.mark.parametrize("decision", ["approve", "refer", "decline"])
def test_a_decision_shows_what_was_recorded(officer: Officer, decision: str) -> None:
    identifier = officer.decide(officer.served.case(decision))
    record = officer.served.ask("GET", f"predictions/{identifier}")
    shown = officer.page.locator("#result .decided")
    expect(shown.locator(".verdict")).to_have_text(f"Decision: {decision.capitalize()}")
    expect(shown.locator(".figures")).to_contain_text(str(record["credit_score"]))
    expect(shown.locator(".figures b").last).to_have_text(record["rating"])
    expect(shown.locator(".reasons li")).to_have_text([r["text"] for r in record["reasons"]])


def test_points_add_up_to_the_score(officer: Officer) -> None:
    officer.decide(officer.served.case("decline"))
    numbers = officer.page.locator(".effects .number:not(.odds)").all_text_contents()[1:]
    *parts, average, score = (float(text.replace("\N{MINUS SIGN}", "-")) for text in numbers)
    assert average + sum(parts) == pytest.approx(score, abs=2)


def test_an_error_stands_beside_its_field_and_takes_the_focus(officer: Officer) -> None:
    see_empty(officer)
    officer.press("Fill in an example")
    officer.field("income").fill("-5")
    officer.press("Decide")
    expect(officer.field("income")).to_be_focused()
    expect(officer.field("income")).to_have_accessible_description(
        re.compile("Must be a number from 0 to 1,000,000,000 INR; got -5")
    )


def test_an_error_goes_when_its_field_is_edited(officer: Officer) -> None:
    see_errors(officer)
    officer.field("income").fill("5")
    expect(officer.field("income")).not_to_have_attribute("aria-invalid", "true")


def test_a_contradiction_names_fields_by_their_titles(officer: Officer) -> None:
    see_empty(officer)
    officer.press("Fill in an example")
    officer.field("delinquent_months").fill("99")
    officer.press("Decide")
    shown = officer.page.locator("#field-delinquent_months-error")
    expect(shown).to_contain_text("“Months in delinquency” <= “Months with a loan”")


def test_a_refused_application_is_not_recorded(officer: Officer) -> None:
    before = officer.served.count()
    see_errors(officer)
    assert officer.served.count() == before


def test_two_clicks_record_one_decision(officer: Officer) -> None:
    see_empty(officer)
    before = officer.served.count()
    officer.press("Fill in an example")
    officer.page.get_by_role("button", name="Decide").dblclick()
    expect(officer.page.get_by_role("heading", name="What if?")).to_be_visible()
    assert officer.served.count() == before + 1


def test_the_keyboard_is_enough(officer: Officer) -> None:
    see_empty(officer)
    officer.page.get_by_role("button", name="Fill in an example").focus()
    officer.page.keyboard.press("Enter")
    officer.page.keyboard.press("Tab")
    expect(officer.field("reference")).to_be_focused()
    officer.page.keyboard.press("Tab")
    expect(officer.field("loan_purpose")).to_be_focused()
    officer.field("income").press("Enter")
    expect(officer.page.locator(".verdict")).to_be_focused()


def test_a_what_if_changes_the_figures_and_records_nothing(officer: Officer) -> None:
    officer.decide(officer.served.case("decline") | {"credit_utilization_ratio": 100})
    before = officer.served.count()
    officer.page.locator("#what-if-credit_utilization_ratio").press("Home")
    expect(officer.page.locator(".outcome")).to_contain_text("percentage points")
    assert officer.served.count() == before


def test_a_what_if_that_contradicts_itself_says_how(officer: Officer) -> None:
    history = {"total_loan_months": 40, "delinquent_months": 5, "total_dpd": 60}
    officer.decide(officer.served.case("decline") | history)
    officer.page.locator("details summary").click()
    officer.page.locator("#what-if-total_loan_months").press("Home")
    expect(officer.page.locator(".outcome")).to_contain_text("More months in delinquency than")


def test_a_change_that_is_told_reaches_approval_when_tried(officer: Officer) -> None:
    officer.decide(officer.served.case("refer"))
    officer.page.get_by_role("button", name="Try it").first.click()
    expect(officer.page.locator(".outcome .badge")).to_have_text("Approve")


def test_a_what_if_can_be_taken_into_the_form(officer: Officer) -> None:
    officer.decide(officer.served.case("decline"))
    officer.page.locator("#what-if-credit_utilization_ratio").press("Home")
    officer.press("Use in the form")
    expect(officer.field("credit_utilization_ratio")).to_have_value("0")
    expect(officer.page.get_by_text("The form has changed since this decision.")).to_be_visible()


def test_a_person_decides_a_referred_case(officer: Officer) -> None:
    identifier = refer(officer)
    officer.page.get_by_role("radio", name="Approve", exact=True).check()
    officer.page.get_by_role("textbox", name="Reason").fill("A guarantor signed")
    officer.page.get_by_role("textbox", name="Your name").fill("N. Officer")
    officer.press("Record the decision")
    expect(officer.page.get_by_text("A guarantor signed")).to_be_visible()
    (recorded,) = officer.served.ask("GET", f"predictions/{identifier}")["overrides"]
    assert (recorded["decision"], recorded["author"]) == ("approve", "N. Officer")


def test_a_persons_decision_needs_a_reason(officer: Officer) -> None:
    identifier = refer(officer)
    officer.page.get_by_role("radio", name="Decline", exact=True).check()
    officer.press("Record the decision")
    expect(officer.page.get_by_role("textbox", name="Reason")).to_be_focused()
    assert officer.served.ask("GET", f"predictions/{identifier}")["overrides"] == []


def test_only_referred_cases_are_a_persons_to_decide(officer: Officer) -> None:
    officer.decide(officer.served.case("decline"))
    expect(officer.page.get_by_role("button", name="Record the decision")).to_have_count(0)


def test_decisions_are_found_by_what_was_recorded(officer: Officer) -> None:
    identifier = officer.decide(officer.served.case("approve"))
    officer.decide(officer.served.case("decline"))
    officer.open("#/recent")
    officer.page.get_by_label("Search").fill(identifier)
    expect(officer.page.locator(".log a")).to_have_count(1)
    expect(officer.page.locator(".log a")).to_have_attribute("href", f"#/decision/{identifier}")


def test_older_decisions_follow(officer: Officer) -> None:
    application = officer.served.case("approve")
    for _ in range(21):
        officer.served.ask("POST", "predict", json=application)
    officer.open("#/recent")
    expect(officer.page.locator(".log a")).to_have_count(20)
    officer.press("Older")
    expect(officer.page.locator(".log a").nth(20)).to_be_visible()


def test_a_search_without_a_hit_says_so(officer: Officer) -> None:
    officer.open("#/recent")
    officer.page.get_by_label("Search").fill("there is no such thing")
    expect(officer.page.get_by_text("No decision fits the search.")).to_be_visible()


def test_a_recorded_application_can_be_started_from(officer: Officer) -> None:
    application = officer.served.case("decline")
    officer.open(f"#/decision/{officer.decide(application)}")
    officer.press("Start a new application from this")
    expect(officer.field("loan_amount")).to_have_value(f"{application['loan_amount']:,.0f}")


def test_entries_stay_while_the_service_is_away(officer: Officer) -> None:
    see_empty(officer)
    officer.press("Fill in an example")
    officer.page.route("**/predict", lambda route: route.abort())
    officer.press("Decide")
    expect(officer.page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(officer.field("income")).to_have_value("1,290,000")
    officer.page.unroute("**/predict")
    officer.press("Try again")
    expect(officer.page.locator(".verdict")).to_be_visible()


def test_a_service_without_a_model_says_why(officer: Officer) -> None:
    body = {"errors": [{"field": "", "message": "no decisions are made: there is no model"}]}
    officer.page.route("**/model-info", lambda route: route.fulfill(status=503, json=body))
    officer.open()
    expect(officer.page.get_by_role("alert")).to_contain_text("there is no model")


def lose(page: Page, path: str, times: int) -> None:
    """Lose the first requests for a path, as a browser does when its network changes."""
    page.route(path, lambda route: route.abort("failed"), times=times)


@pytest.mark.parametrize("path", ["**/ui/format.js", "**/ui/style.css", "**/v1/model-info"])
def test_a_part_of_the_page_that_is_lost_is_fetched_again(officer: Officer, path: str) -> None:
    lose(officer.page, path, times=2)
    officer.open()
    expect(officer.page.locator(".top")).to_have_css("position", "sticky")
    expect(officer.page.get_by_role("button", name="Decide")).to_be_visible()
    expect(officer.page.locator(".late")).to_have_count(0)


def test_the_page_says_when_a_part_of_it_never_comes(officer: Officer) -> None:
    officer.page.route("**/ui/format.js", lambda route: route.abort("failed"))
    officer.open()
    expect(officer.page.get_by_text("A part of this page did not arrive")).to_be_visible()
    assert violations(officer.page) == []


def test_text_can_be_read_while_a_card_appears(browser: Browser, service: Served) -> None:
    with browser.new_context(reduced_motion="no-preference") as context:
        officer = Officer(context.new_page(), service)
        identifier = officer.decide(service.case("refer"))
        officer.open(f"#/decision/{identifier}")
        expect(officer.page.locator("#detail .decided")).to_be_visible()
        start = "all => all.forEach(one => { one.pause(); one.currentTime = 50; })"
        officer.page.evaluate(f"({start})(document.getAnimations())")
        assert violations(officer.page) == []


def test_nothing_moves_for_those_who_want_less_motion(officer: Officer) -> None:
    see_approve(officer)
    style = "own => getComputedStyle(own).animationName"
    assert officer.page.locator(".decided").evaluate(style) == "none"


def test_a_key_is_asked_for_and_stays_in_the_tab(stranger: Officer) -> None:
    stranger.open()
    stranger.page.get_by_label("Key").fill(KEY)
    stranger.press("Continue")
    expect(stranger.page.get_by_role("button", name="Decide")).to_be_visible()
    assert KEY in stranger.page.evaluate("Object.values(sessionStorage)")
    assert stranger.page.evaluate("localStorage.length") == 0


def test_a_wrong_key_is_refused(stranger: Officer) -> None:
    stranger.open()
    stranger.page.get_by_label("Key").fill("wrong")
    stranger.press("Continue")
    expect(stranger.page.get_by_text("The service did not accept this key.")).to_be_visible()
    assert violations(stranger.page) == []


def test_the_documentation_opens_with_the_key_of_the_tab(stranger: Officer) -> None:
    stranger.open("#/docs")
    stranger.page.get_by_label("Key").fill(KEY)
    stranger.press("Continue")
    expect(stranger.page.get_by_role("heading", name="POST /predict", exact=True)).to_be_visible()
    pages = stranger.page.get_by_role("navigation", name="Pages")
    pages.get_by_role("link", name="Application").click()
    expect(stranger.page.get_by_role("button", name="Decide")).to_be_visible()
    pages.get_by_role("link", name="API").click()
    expect(stranger.page.get_by_role("heading", name="Endpoints")).to_be_visible()
    assert violations(stranger.page) == []


def test_an_unfinished_form_stays_after_a_reload(officer: Officer) -> None:
    see_empty(officer)
    officer.field("income").fill("1234567")
    officer.field("loan_purpose").select_option(label="Home")
    officer.field("reference").fill("A-77")
    officer.page.reload()
    expect(officer.field("income")).to_have_value("1,234,567")
    expect(officer.field("reference")).to_have_value("A-77")
    expect(officer.field("loan_purpose").locator("option:checked")).to_have_text("Home")
    officer.press("Clear")
    officer.page.reload()
    expect(officer.field("income")).to_have_value("")


def test_a_decided_application_does_not_stay_in_the_tab(officer: Officer) -> None:
    officer.decide(officer.served.case("approve"))
    kept = officer.page.evaluate("Object.keys(sessionStorage).filter(k => k.includes('draft'))")
    assert kept == []


def test_an_unfinished_reason_stays_after_a_reload(officer: Officer) -> None:
    officer.open(f"#/decision/{refer(officer)}")
    officer.page.locator("#detail").get_by_role("radio", name="Decline").check()
    officer.page.locator("#detail").get_by_role("textbox", name="Reason").fill("Half a sen")
    officer.page.reload()
    shown = officer.page.locator("#detail")
    expect(shown.get_by_role("textbox", name="Reason")).to_have_value("Half a sen")
    expect(shown.get_by_role("radio", name="Decline")).to_be_checked()


def test_empty_fields_share_one_sentence_with_links(
    officer: Officer, fields: dict[str, dict[str, Any]]
) -> None:
    see_errors(officer)
    summary = officer.page.locator(".general")
    expect(summary.get_by_role("listitem")).to_have_count(1)
    expect(summary).to_contain_text("Fill in Purpose of the loan, Type of loan,")
    summary.get_by_role("link", name=fields["income"]["title"], exact=True).click()
    expect(officer.field("income")).to_be_focused()
    expect(officer.field("income")).to_have_accessible_description(re.compile("Fill this in$"))


def test_each_other_error_stands_in_the_summary_with_its_link(officer: Officer) -> None:
    see_empty(officer)
    officer.press("Fill in an example")
    officer.field("income").fill("-5")
    officer.press("Decide")
    item = officer.page.locator(".general li")
    expect(item).to_have_count(1)
    expect(item).to_contain_text("Must be a number from 0 to 1,000,000,000 INR; got -5")
    item.get_by_role("link").click()
    expect(officer.field("income")).to_be_focused()


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.99987, "99.99"),
        (0.999996, "99.9996"),
        (1, "100"),
        (0, "0"),
        (0.000004, "0.0004"),
        (0.1234, "12.3"),
        (0.005, "0.50"),
    ],
)
def test_only_certainty_reads_as_100_percent(officer: Officer, share: float, text: str) -> None:
    officer.open()
    script = f"import('./ui/format.js').then(format => format.percent({share}))"
    assert officer.page.evaluate(script) == f"{text}\N{NO-BREAK SPACE}%"


def test_lines_left_empty_are_looked_up_where_the_contract_has_a_source(officer: Officer) -> None:
    officer.open()
    script = """import('./ui/lines.js').then(({ readLines }) => {
      const field = (keys) => ({ lines: [{ name: "day", type: "date" }], asked_by: keys });
      return [readLines(field([]), "", Number), readLines(field(["person"]), "", Number) ?? "asked",
        readLines(field(["person"]), "day", Number)];
    })"""
    assert officer.page.evaluate(script) == [[], "asked", []]


@pytest.mark.parametrize(("lines", "text"), [(0, "0 lines"), (1, "1 line"), (1200, "1,200 lines")])
def test_the_lines_of_a_history_are_counted(officer: Officer, lines: int, text: str) -> None:
    officer.open()
    script = f"import('./ui/format.js').then(f => f.value(undefined, Array({lines}).fill({{}})))"
    assert officer.page.evaluate(script) == text


def test_the_queue_has_what_waits_and_a_closed_case_leaves_it(officer: Officer) -> None:
    application = officer.served.case("refer") | {"reference": "Q-1"}
    identifier = officer.served.ask("POST", "predict", json=application)["prediction_id"]
    officer.open("#/queue")
    officer.page.locator("#queue").get_by_label("Search").fill("Q-1")
    expect(officer.page.locator("#queue .log a")).to_have_count(1)
    officer.page.get_by_role("link", name="Q-1").click()
    place = officer.page.locator("#detail")
    place.get_by_role("radio", name="Decline").check()
    place.get_by_role("textbox", name="Reason").fill("No payslips")
    place.get_by_role("textbox", name="Your name").fill("N. Officer")
    officer.press("Record the decision")
    expect(place.get_by_role("heading", name="Final decision: Decline")).to_be_focused()
    officer.page.get_by_role("link", name="Queue").click()
    expect(officer.page.get_by_text("No decision fits the search.")).to_be_visible()
    officer.page.get_by_role("link", name="Decisions").click()
    officer.page.locator("#recent").get_by_label("Search").fill(identifier)
    expect(officer.page.locator("#recent .log a")).to_have_count(1)
    expect(officer.page.locator("#recent .log .badge").first).to_have_text("Decline")
    expect(officer.page.locator("#recent .log .then")).to_contain_text("decided by N. Officer")


def test_decisions_are_filtered_by_officer_rating_and_day(officer: Officer) -> None:
    identifier = refer(officer)
    wish = {"prediction_id": identifier, "decision": "approve", "reason": "ok", "author": "Only Me"}
    officer.served.ask("POST", "overrides", json=wish)
    officer.open("#/recent")
    place = officer.page.locator("#recent")
    place.get_by_text("Filters").click()
    place.get_by_label("Officer").fill("only me")
    expect(place.locator(".log a")).to_have_count(1)
    place.get_by_label("From").fill("2999-01-01")
    expect(place.get_by_text("No decision fits the search.")).to_be_visible()


def test_a_note_is_added_without_a_decision(officer: Officer) -> None:
    officer.open(f"#/decision/{officer.decide(officer.served.case('decline'))}")
    officer.page.get_by_text("Add a note").click()
    officer.page.get_by_role("textbox", name="Note").fill("The applicant called")
    officer.page.get_by_role("textbox", name="Your name").fill("N. Officer")
    officer.press("Add the note")
    expect(officer.page.locator(".notes blockquote")).to_have_text("The applicant called")
    assert violations(officer.page) == []


def test_the_page_has_the_lenders_words(stranger: Officer) -> None:
    stranger.open()
    stranger.page.get_by_label("Key").fill(KEY)
    stranger.press("Continue")
    expect(stranger.page.locator(".brand")).to_have_text("Lender Ltd")
    expect(stranger.page.locator("#about")).to_have_text("Ask the desk: 555-0100")
    assert stranger.page.title() == "Application · Lender Ltd"


def test_the_page_follows_another_contract(stranger: Officer) -> None:
    stranger.open()
    stranger.page.get_by_label("Key").fill(KEY)
    stranger.press("Continue")
    stranger.fill({"amount": 9000, "purpose": "other", "insured": "Yes", "branch": 30})
    stranger.press("Decide")
    identifier = stranger.page.locator(".record a").inner_text()
    record = stranger.served.ask("GET", f"predictions/{identifier}")
    wanted = {"amount": 9000, "purpose": "other", "insured": True, "branch": 30}
    assert record["application"] == wanted


def test_every_file_of_the_page_is_small(service: Served) -> None:
    folder = Path(__file__).parents[2] / "service/api/ui"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 92_000
