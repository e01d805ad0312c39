"""The script of the dashboard that Streamlit runs. Times are in UTC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from service import settings
from service.dashboard import cached, queries, tabs
from service.dashboard.charts import minute
from service.dashboard.tabs import escape
from service.ledger import LedgerUnavailable
from service.monitoring.reports import field_of

PERIODS = {"All time": None, "90 days": 90, "7 days": 7, "24 hours": 1, "Last hour": 1 / 24}


def show_page() -> None:
    """Show the whole page, or a message when the ledger cannot be read."""
    st.set_page_config("Credit decisions", "📈", layout="wide")
    url = settings.load().database_url
    st.title("Credit decisions")
    try:
        show_ledger(url)
    except LedgerUnavailable as error:
        st.error(f"The ledger cannot be read: {error}")
        st.info("Start the service once (`make serve`), or set DATABASE_URL to its ledger.")


def show_ledger(url: str) -> None:
    """Show the totals, the open incidents and the tabs."""
    chosen = st.segmented_control("Period", list(PERIODS), default="All time") or "All time"
    # Rounded to the minute, so that the next click finds the results in the cache.
    since = queries.start(PERIODS[chosen])[:16]
    totals = queries.Totals(*cached.query(url, "totals", since))
    incidents = cached.query(url, "latest_incidents")
    opened = by_field(incident for incident in incidents if incident["closed"] is None)
    show_totals(totals, len(opened), cached.query(url, "overrides"))
    for loudness, box in (("alarm", st.error), ("warning", st.warning)):
        lines = [as_line(group) for group in opened.values() if group[0]["loudness"] == loudness]
        if lines:
            box("\n".join(lines))
    first, *others = st.tabs(["Decisions", "Drift", "Performance", "Overrides", "Model"])
    with first:
        tabs.decisions(url, since, totals)
    contents = (tabs.drift, tabs.performance, tabs.overrides, tabs.model)
    for tab, show in zip(others, contents, strict=True):
        with tab:
            show(url)


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


def as_line(incidents: list[dict[str, Any]]) -> str:
    """Return the open incidents of one field as an item of a Markdown list."""
    sizes = sorted(filter(None, map(window_of, incidents)))
    scope = f"last {' and '.join(f'{size:,}' for size in sizes)} decisions, " if sizes else ""
    since = minute(min(incident["opened"] for incident in incidents))
    return f"- {escape(incidents[0]['words'])} ({scope}since {since})"


def show_totals(totals: queries.Totals, incidents: int, overrides: dict[str, int]) -> None:
    """Show the main figures of the period."""
    rate = f"{totals.approve / totals.decisions:.1%}" if totals.decisions else "none"
    mean = f"{totals.mean_pd:.1%}" if totals.decisions else "none"
    facts = {
        "Decisions": f"{totals.decisions:,}",
        "Approval rate": rate,
        "Mean PD": mean,
        "Overrides": f"{sum(overrides.values()):,}",
        "Open incidents": str(incidents),
    }
    for place, (title, value) in zip(st.columns(len(facts)), facts.items(), strict=True):
        place.metric(title, value)


if __name__ == "__main__":
    show_page()
