# mypy: disallow-untyped-decorators=False
"""The page that watches the model, panel by panel; `python -m service.dashboard` serves it.

What it shows of the ledger is at most `FRESH` seconds old. Times are UTC.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from sqlalchemy import Engine

from service import settings
from service.dashboard import charts, queries
from service.dashboard.charts import minute
from service.ledger import Ledger, LedgerUnavailable
from service.ledger.database import database_url, open_engine
from service.monitoring import outcomes
from service.monitoring.reports import field_of
from stages import params

FRESH = 30
METRICS = Path("models/evaluation.json")
PERIODS = {"All time": None, "90 days": 90, "7 days": 7, "24 hours": 1, "Last hour": 1 / 24}
LOUDNESS = {"alarm": ":red[alarm]", "warning": ":orange[warning]", "notice": ":gray[notice]"}
COUNT = st.column_config.NumberColumn(format="localized")
HEADLINES = ("roc_auc", "gini", "ks", "brier", "ece", "mean_pd", "bad_rate", "approval_rate")


@st.cache_resource
def database(url: str) -> Engine:
    """One pool of connections for all visitors."""
    return open_engine(database_url(url))


@st.cache_data(ttl=FRESH, show_spinner="Counting…")
def asked(url: str, name: str, *options: Any) -> Any:
    """What a function of `history` says of the ledger at `url`, remembered for a while."""
    question: Callable[..., Any] = getattr(queries, name)
    return question(database(url), *options)


@st.cache_data(ttl=10 * FRESH, show_spinner="Comparing outcomes…")
def realised(url: str) -> dict[str, Any]:
    """What became of decisions that are old enough."""
    config, today = params.load(with_candidates=False), datetime.now(UTC).date()
    ledger = Ledger(url)
    try:
        found = outcomes.mature_outcomes(ledger, config.monitor.maturity_days, today)
    finally:
        ledger.close()
    return outcomes.realised_performance(found, config.policy.pd_cut_off)


def page() -> None:
    """The whole page."""
    st.set_page_config("Credit decisions", "📈", layout="wide")
    url = settings.load().database_url
    st.title("Credit decisions")
    try:
        shown(url)
    except LedgerUnavailable as error:
        st.error(f"The ledger cannot be read: {error}")
        st.info("Start the service once (`make serve`), or set DATABASE_URL to its ledger.")


def shown(url: str) -> None:
    """Totals, incidents, and a tab for each question."""
    chosen = st.segmented_control("Period", list(PERIODS), default="All time") or "All time"
    since = queries.start(PERIODS[chosen])
    # A moving start would never be found in the cache.
    since = since[:16]
    totals = queries.Totals(*asked(url, "totals", since))
    opened = by_field(i for i in asked(url, "latest_incidents") if i["closed"] is None)
    headline(totals, len(opened), asked(url, "overrides"))
    for loudness, box in (("alarm", st.error), ("warning", st.warning)):
        lines = [told(own) for own in opened.values() if own[0]["loudness"] == loudness]
        if lines:
            box("\n".join(lines))
    first, *others = st.tabs(["Decisions", "Drift", "Performance", "Overrides", "Model"])
    with first:
        decisions(url, since, totals)
    for tab, part in zip(others, (drift, performance, overridden, model), strict=True):
        with tab:
            part(url)


def by_field(incidents: Any) -> dict[str, list[dict[str, Any]]]:
    """Open incidents of each field, alarms first, and of those the largest window."""
    found: dict[str, list[dict[str, Any]]] = {}
    for own in incidents:
        found.setdefault(field_of(own["key"]), []).append(own)
    for same in found.values():
        same.sort(key=lambda own: (own["loudness"] == "alarm", window_of(own)), reverse=True)
    return found


def window_of(incident: dict[str, Any]) -> int:
    """The window that an incident was seen in; 0 where it was seen elsewhere."""
    source = incident["key"].partition("/")[0]
    return int(source) if source.isdigit() else 0


def told(same: list[dict[str, Any]]) -> str:
    """The open incidents of one field, as a line of a list."""
    windows = sorted(filter(None, map(window_of, same)))
    seen = f"last {' and '.join(f'{w:,}' for w in windows)} decisions, " if windows else ""
    since = minute(min(own["opened"] for own in same))
    return f"- {plain(same[0]['words'])} ({seen}since {since})"


def headline(totals: queries.Totals, incidents: int, overrides: dict[str, int]) -> None:
    """The figures that matter most."""
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


def decisions(url: str, since: str, totals: queries.Totals) -> None:
    """Decisions over time, scores, ratings, and the newest."""
    if not totals.decisions:
        st.info("No decisions in this period.")
        return
    table = pd.DataFrame(asked(url, "over_time", since, totals))
    st.subheader("Decisions over time")
    st.altair_chart(charts.over_time(table))
    left, right = st.columns(2)
    left.subheader("Approval rate and mean PD")
    if table["time"].nunique() > 1:
        left.altair_chart(charts.rates(table))
    else:
        left.caption("A line needs a second moment.")
    right.subheader("Rating")
    right.altair_chart(charts.ratings(asked(url, "ratings", since)))
    st.subheader("Credit score")
    st.altair_chart(charts.scores(asked(url, "scores", since)))
    st.subheader("Newest decisions")
    listed(asked(url, "latest"))


def listed(rows: list[dict[str, Any]]) -> None:
    """Rows as a table with names for people, times to the minute and probabilities in percent."""
    table = pd.DataFrame(rows)
    for name in {"time", "first", "last", "opened", "closed"} & {*table.columns}:
        table[name] = table[name].map(minute, na_action="ignore").fillna("")
    percent = st.column_config.NumberColumn("PD", format="percent")
    columns: dict[str, Any] = {"default_probability": percent, "credit_score": "score"}
    columns |= {"refers_to": "prediction_id", "decisions": COUNT}
    st.dataframe(table, hide_index=True, column_config=columns)


def drift(url: str) -> None:
    """The newest report of a window: what moved, and each feature beside its reference."""
    sizes = asked(url, "windows")
    if not sizes:
        st.info("No drift report yet: the first comes after the first full window of decisions.")
        return
    window = st.selectbox("Window, decisions", sizes, index=len(sizes) - 1)
    report = asked(url, "newest_reports", window)[0]
    st.markdown(
        f"Decisions of {minute(report['since'])} to {minute(report['until'])}, "
        f"model `{report['model']}`: **{report['loudest']}**. {plain(report['advice'])}"
    )
    features = report["features"] | {"score": report["score"]}
    rows = [
        {
            "feature": name,
            "PSI": facts.get("psi", {}).get("value"),
            "bound": facts.get("psi", {}).get("bound"),
            "missing": facts["missing"]["value"],
        }
        for name, facts in features.items()
    ]
    table = pd.DataFrame(rows).sort_values("PSI", ascending=False)
    left, right = st.columns(2)
    three = st.column_config.NumberColumn(format="%.3f")
    percent = st.column_config.NumberColumn(format="percent")
    columns = {"PSI": three, "bound": three, "missing": percent}
    left.dataframe(table, hide_index=True, height=420, column_config=columns)
    with right:
        charts.compared(st.selectbox("Feature", table["feature"]), features)
    lines = [
        f"- {LOUDNESS[f['loudness']]} **{plain(f['field'])}**: {plain(f['words'])}"
        for f in report["findings"]
    ]
    st.markdown("\n".join(lines))


def performance(url: str) -> None:
    """What to expect of the PDs alone, and what became of the loans."""
    sizes = asked(url, "windows")
    if sizes:
        st.subheader("Expected, from the PDs alone")
        found = asked(url, "newest_reports", sizes[-1])[::-1]
        named = {"roc_auc": "ROC-AUC", "bad_rate": "Bad rate"}
        for place, (name, title) in zip(st.columns(2), named.items(), strict=True):
            table = pd.DataFrame([{"time": r["time"], **r["expected"][name]} for r in found])
            place.markdown(f"{title} of the last {sizes[-1]:,} decisions, with its 95 % interval")
            place.altair_chart(charts.band(table.dropna(), title))
    st.subheader("Realised")
    facts = realised(url)
    if not facts["mature"]:
        st.info(f"{facts['outcomes']:,} outcomes, none of a decision that is old enough to count.")
        return
    whole = pd.DataFrame([{"decisions": facts["mature"]} | facts["all"]])
    st.dataframe(whole, hide_index=True, column_config={"decisions": COUNT})
    for place, name in zip(st.columns(2), ("by_vintage", "by_rating"), strict=True):
        place.markdown(f"Bad rate {name.replace('_', ' ')}, expected and realised")
        place.altair_chart(charts.against(facts[name]))


def overridden(url: str) -> None:
    """What people decided about referred cases."""
    rows = asked(url, "latest_overrides")
    if not rows:
        st.info("No referred case has been decided by a person yet.")
        return
    counts = asked(url, "overrides")
    st.markdown(", ".join(f"**{count:,}** {decision}" for decision, count in counts.items()))
    listed(rows)


def model(url: str) -> None:
    """What decides now, what decided before, and what was wrong when."""
    if METRICS.exists():
        facts = json.loads(METRICS.read_text())
        of = facts["trained_on"]
        st.markdown(
            f"Winner **{facts['winner']}** on {facts['dataset']}, {facts['mode']} mode; trained on "
            f"{of['rows']:,} rows, {of['bad_rate']:.1%} bad. On test:"
        )
        named = {name: facts["test"][name]["value"] for name in HEADLINES}
        st.dataframe(pd.DataFrame([named]), hide_index=True)
    for title, question in (("Models that decided", "models"), ("Incidents", "latest_incidents")):
        st.subheader(title)
        rows = asked(url, question)
        if rows:
            listed(rows)
        else:
            st.info("None so far.")


def plain(words: str) -> str:
    """Words of applications, without what Markdown would make of them."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>$#~:|!" else letter for letter in words)


if __name__ == "__main__":
    page()
