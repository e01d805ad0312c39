# mypy: disallow-untyped-decorators=False
"""A page that watches the model: `python -m service.dashboard`, on loopback.

It reads the ledger's database (`DATABASE_URL`) and writes nothing; what it shows is at most
`FRESH` seconds old.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from sqlalchemy import Engine

from service import charts, history, outcomes
from service.ledger import Ledger, LedgerUnavailable
from service.ledger.database import database_url, open_engine
from stages import params

FRESH = 30
METRICS = Path("models/metrics.json")
PERIODS = {"All time": None, "90 days": 90, "7 days": 7, "24 hours": 1, "Last hour": 1 / 24}
DECISIONS = {"approve": "#2a9d6f", "refer": "#e0a526", "decline": "#c8453b"}
LOUDNESS = {"alarm": ":red[alarm]", "warning": ":orange[warning]", "notice": ":gray[notice]"}
HEADLINES = ("roc_auc", "gini", "ks", "brier", "ece", "mean_pd", "bad_rate", "approval_rate")


@st.cache_resource
def database(url: str) -> Engine:
    """One pool of connections for all visitors."""
    return open_engine(database_url(url))


@st.cache_data(ttl=FRESH, show_spinner="Counting…")
def asked(url: str, name: str, *options: Any) -> Any:
    """What a function of `history` says of the ledger at `url`, remembered for a while."""
    question: Callable[..., Any] = getattr(history, name)
    return question(database(url), *options)


@st.cache_data(ttl=10 * FRESH, show_spinner="Comparing outcomes…")
def realised(url: str) -> dict[str, Any]:
    """What became of decisions that are old enough."""
    config, today = params.load(), datetime.now(UTC).date()
    ledger = Ledger(url)
    try:
        found = outcomes.ripe(ledger, config.monitor.maturity_days, today)
    finally:
        ledger.close()
    return outcomes.realised(found, config.policy.pd_cut_off)


def page() -> None:
    """The whole page."""
    st.set_page_config("Credit decisions", "📈", layout="wide")
    url = os.environ.get("DATABASE_URL", "")
    st.title("Credit decisions")
    try:
        shown(url)
    except LedgerUnavailable as error:
        st.error(f"The ledger cannot be read: {error}")
        st.info("Start the service once (`make serve`), or set DATABASE_URL to its ledger.")


def shown(url: str) -> None:
    """Totals, incidents, and a tab for each question."""
    chosen = st.segmented_control("Period", list(PERIODS), default="All time") or "All time"
    since = history.start(PERIODS[chosen])
    # A moving start would never be found in the cache.
    since = since[:16]
    totals = history.Totals(*asked(url, "totals", since))
    open_now = [i for i in asked(url, "latest_incidents") if i["closed"] is None]
    headline(totals, len(open_now), asked(url, "overrides"))
    for loudness, box in (("alarm", st.error), ("warning", st.warning)):
        lines = [told(incident) for incident in open_now if incident["loudness"] == loudness]
        if lines:
            box("\n".join(lines))
    first, *others = st.tabs(["Decisions", "Drift", "Performance", "Overrides", "Model"])
    with first:
        decisions(url, since, totals)
    for tab, part in zip(others, (drift, performance, overridden, model), strict=True):
        with tab:
            part(url)


def told(incident: dict[str, Any]) -> str:
    """An open incident, as a line of a list."""
    source = incident["key"].partition("/")[0]
    seen = f"last {int(source):,} decisions, " if source.isdigit() else ""
    return f"- {plain(incident['words'])} ({seen}since {minute(incident['opened'])})"


def headline(totals: history.Totals, incidents: int, overrides: dict[str, int]) -> None:
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


def decisions(url: str, since: str, totals: history.Totals) -> None:
    """Decisions over time, scores, ratings, and the newest."""
    if not totals.decisions:
        st.info("No decisions in this period.")
        return
    table = pd.DataFrame(asked(url, "over_time", since, totals))
    table["time"] = pd.to_datetime(table["time"], format="ISO8601", utc=True)
    counts = table.pivot_table(index="time", columns="decision", values="decisions", aggfunc="sum")
    counts = counts.reindex(columns=list(DECISIONS)).fillna(0)
    st.subheader("Decisions over time")
    st.bar_chart(
        counts, color=list(DECISIONS.values()), x_label="", y_label="decisions", height=260
    )
    left, right = st.columns(2)
    left.subheader("Approval rate and mean PD")
    all_of = counts.sum(axis=1)
    rates = {
        "approval rate": counts["approve"] / all_of,
        "mean PD": table.groupby("time")["pd"].sum() / all_of,
    }
    if len(counts) > 1:
        left.line_chart(
            pd.DataFrame(rates), x_label="", color=[DECISIONS["approve"], charts.PAIR[1]]
        )
    else:
        left.caption("A line needs a second moment.")
    right.subheader("Rating")
    charts.bars(right, asked(url, "ratings", since), "rating")
    st.subheader("Credit score")
    charts.bars(st, asked(url, "scores", since), "score")
    st.subheader("Newest decisions")
    newest = pd.DataFrame(asked(url, "latest"))
    newest["time"] = newest["time"].map(minute)
    percent = st.column_config.NumberColumn("PD", format="percent")
    st.dataframe(newest, hide_index=True, column_config={"default_probability": percent})


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
    percent = st.column_config.NumberColumn(format="percent")
    left.dataframe(table, hide_index=True, height=420, column_config={"missing": percent})
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
        for place, name in zip(st.columns(2), ("roc_auc", "bad_rate"), strict=True):
            table = pd.DataFrame([{"time": r["time"], **r["expected"][name]} for r in found])
            place.markdown(f"{name} of the last {sizes[-1]:,}, with its 95 % interval")
            place.altair_chart(charts.band(table.dropna(), name))
    st.subheader("Realised")
    facts = realised(url)
    if not facts["mature"]:
        st.info(f"{facts['outcomes']:,} outcomes, none of a decision that is old enough to count.")
        return
    st.dataframe(pd.DataFrame([facts["all"] | {"decisions": facts["mature"]}]), hide_index=True)
    for place, name in zip(st.columns(2), ("by_vintage", "by_rating"), strict=True):
        table = pd.DataFrame(facts[name]).T
        place.bar_chart(
            table[["expected", "bad_rate"]], color=charts.PAIR, stack=False, x_label=name
        )


def overridden(url: str) -> None:
    """What people decided about referred cases."""
    rows = asked(url, "latest_overrides")
    if not rows:
        st.info("No referred case has been decided by a person yet.")
        return
    counts = asked(url, "overrides")
    st.markdown(", ".join(f"**{count:,}** {decision}" for decision, count in counts.items()))
    st.dataframe(pd.DataFrame(rows), hide_index=True)


def model(url: str) -> None:
    """What decides now, what decided before, and what was wrong when."""
    if METRICS.exists():
        facts = json.loads(METRICS.read_text())
        st.markdown(
            f"Winner **{facts['winner']}** on {facts['dataset']}, {facts['mode']} mode; "
            f"trained on {', '.join(f'{n} {v}' for n, v in facts['trained_on'].items())}. On test:"
        )
        named = {name: facts["test"][name]["value"] for name in HEADLINES}
        st.dataframe(pd.DataFrame([named]), hide_index=True)
    st.subheader("Models that decided")
    history_of = asked(url, "models")
    if history_of:
        st.dataframe(pd.DataFrame(history_of), hide_index=True)
    st.subheader("Incidents")
    found = asked(url, "latest_incidents")
    if found:
        st.dataframe(pd.DataFrame(found), hide_index=True)
    else:
        st.info("None so far.")


def minute(time: str) -> str:
    """A time of the ledger, to the minute."""
    return time[:16].replace("T", " ")


def plain(words: str) -> str:
    """Words of applications, without what Markdown would make of them."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>$#~:|!" else letter for letter in words)


def main() -> None:
    """Serve the page on loopback."""
    from streamlit.web import cli  # noqa: PLC0415

    options = {
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.port": os.environ.get("DASHBOARD_PORT", "8501"),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": "false",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    sys.exit(cli.main(["run", __file__, *flags]))


if __name__ == "__main__":
    if st.runtime.exists():
        page()
    else:
        main()
