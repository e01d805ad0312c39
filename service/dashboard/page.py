# mypy: disallow-untyped-decorators=False
"""The script of the dashboard that Streamlit runs. Times are in UTC, scores in points."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from service import settings
from service.dashboard import audit_tab, baselines, cached, challenger_tab, drift_tab, queries, tabs
from service.dashboard.baselines import Baselines
from service.dashboard.formatting import escape, minute, models_in_words, with_sign, with_title
from service.ledger import LedgerUnavailable
from service.monitoring.reports import field_of

PERIODS = {"All time": None, "90 days": 90, "7 days": 7, "24 hours": 1, "Last hour": 1 / 24}
REFRESH = 5  # seconds after which the page looks whether the ledger has changed
METRIC = 168  # pixels of a headline figure, two of which fit beside each other on a phone
VERSION = "version"  # the key of the version that is shown, in the state of the session
VIEW = "view"  # the name of the open tab in the address


def show_page() -> None:
    """Show the whole page, or a message when the ledger cannot be read."""
    st.set_page_config("Credit decisions", "📈", layout="wide")
    st.title("Credit decisions")
    url = settings.load().database_url
    try:
        st.session_state[VERSION] = cached.version(url)
        follow(url)
        show_ledger(url)
    except LedgerUnavailable as error:
        st.error(f"The ledger cannot be read: {error}")
        st.info("Start the service once (`make serve`), or set DATABASE_URL to its ledger.")


@st.fragment(run_every=REFRESH)
def follow(url: str) -> None:
    """Draw the page again once the ledger has changed, and say when it was looked at last."""
    try:
        version = cached.version(url)
    except LedgerUnavailable as error:
        st.error(f"The ledger cannot be read now: {error}")
        return
    if version != st.session_state[VERSION]:
        st.rerun()
    st.caption(f"Up to date at {datetime.now(UTC):%H:%M:%S} UTC; new entries appear by themselves.")


def show_ledger(url: str) -> None:
    """Show the totals, the open incidents and the tabs."""
    chosen = st.segmented_control("Period", list(PERIODS), default="All time") or "All time"
    # Rounded to the minute, so that the next click finds the results in the cache.
    since = queries.start(PERIODS[chosen])[:16]
    overview: queries.Overview = cached.query(url, queries.overview, since)
    totals = overview.totals
    known = baselines.read()
    incidents = cached.query(url, queries.latest_incidents)
    opened = by_field(incident for incident in incidents if incident["closed"] is None)
    titles = cached.newest_report(url)
    scope = scope_of(chosen, totals, overview.models, since)
    st.caption(scope)
    show_totals(totals, known, len(opened), cached.query(url, queries.overrides, since))
    for loudness, box in (("alarm", st.error), ("warning", st.warning)):
        loud = (group for group in opened.values() if group[0]["loudness"] == loudness)
        lines = [as_line(group, titles) for group in loud]
        if lines:
            box(f"**{loudness.capitalize()}**\n\n" + "\n".join(lines))
    views: dict[str, Callable[[], None]] = {
        "Decisions": lambda: tabs.decisions(url, overview, scope, known),
        "Drift": lambda: drift_tab.drift(url, known),
        "Performance": lambda: tabs.performance(url, known),
        "Fairness": lambda: tabs.fairness(url, known),
        "Overrides": lambda: tabs.overrides(url, since, scope),
        "Model": lambda: tabs.model(url, overview.models, known),
        "Challenger": lambda: challenger_tab.challenger(url),
        "Audit": lambda: audit_tab.audit_period(url, scope),
    }
    # Only the tab that is open asks the ledger; the address names it, so that it can be linked to.
    places = st.tabs(list(views), key=VIEW, bind="query-params")
    for place, show in zip(places, views.values(), strict=True):
        if place.open:
            with place:
                show()


def scope_of(period: str, totals: queries.Totals, models: queries.Rows, since: str) -> str:
    """Return the models and the period that figures are about, as a sentence."""
    if not totals.decisions:
        return f"{period}: no decision."
    names = dict.fromkeys(m["model"] for m in models if m["last"] >= since)
    first, last = minute(totals.first), minute(totals.last)
    return f"{period}: {first} to {last} UTC, {models_in_words(names)}."


def by_field(incidents: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the incidents by field, sorted with alarms first, then by window, largest first."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for incident in incidents:
        grouped.setdefault(field_of(incident["key"]), []).append(incident)
    for group in grouped.values():
        group.sort(key=lambda one: (one["loudness"] == "alarm", window_of(one)), reverse=True)
    return grouped


def window_of(incident: dict[str, Any]) -> int:
    """Return the size of the window of an incident, 0 if it is not about a window."""
    source = incident["key"].partition("/")[0]
    return int(source) if source.isdigit() else 0


def as_line(incidents: list[dict[str, Any]], report: dict[str, Any]) -> str:
    """Return the open incidents of one field as an item of a Markdown list.

    The field has the title that the report knows.
    """
    named = with_title(incidents[0]["words"], report)
    sizes = sorted(filter(None, map(window_of, incidents)))
    scope = f"last {' and '.join(f'{size:,}' for size in sizes)} decisions, " if sizes else ""
    since = minute(min(incident["opened"] for incident in incidents))
    return f"- {escape(named)} ({scope}since {since} UTC)"


def show_totals(
    totals: queries.Totals, known: Baselines, incidents: int, overrides: dict[str, int]
) -> None:
    """Show the main figures of the period, each with the distance to its baseline."""
    some = bool(totals.decisions)
    rate = totals.approve / totals.decisions if some else None
    facts = {
        "Decisions": (f"{totals.decisions:,}", None),
        "Approval rate": (percent(rate), against(rate, known.test("approval_rate"))),
        "Mean PD": (
            percent(totals.mean_pd if some else None),
            against(totals.mean_pd if some else None, known.test("mean_pd")),
        ),
        "Overrides": (f"{sum(overrides.values()):,}", None),
        "Open incidents": (str(incidents), None),
    }
    with st.container(horizontal=True):  # on a phone two stand side by side
        for title, (value, delta) in facts.items():
            st.metric(title, value, delta, delta_color="off", width=METRIC)


def percent(share: float | None) -> str:
    """Return a share in percent, "none" where there is none."""
    return "none" if share is None else f"{share:.1%}"


def against(share: float | None, tested: float | None) -> str | None:
    """Return how far a share is from that of the test rows, in points."""
    if share is None or tested is None:
        return None
    return f"{with_sign(100 * (share - tested))} points, test {tested:.1%}"


if __name__ == "__main__":
    show_page()
