"""The tabs of the dashboard: decisions, drift, performance, overrides and the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from service.dashboard import cached, charts, queries
from service.dashboard.charts import minute

METRICS = Path("models/evaluation.json")
LOUDNESS = {"alarm": ":red[alarm]", "warning": ":orange[warning]", "notice": ":gray[notice]"}
COUNT = st.column_config.NumberColumn(format="localized")
HEADLINES = ("roc_auc", "gini", "ks", "brier", "ece", "mean_pd", "bad_rate", "approval_rate")


def decisions(url: str, since: str, totals: queries.Totals) -> None:
    """Show the decisions over time, by rating and by credit score, and the newest decisions."""
    if not totals.decisions:
        st.info("No decisions in this period.")
        return
    table = pd.DataFrame(cached.query(url, "over_time", since, totals))
    st.subheader("Decisions over time")
    st.altair_chart(charts.decisions_over_time(table))
    left, right = st.columns(2)
    left.subheader("Approval rate and mean PD")
    if table["time"].nunique() > 1:
        left.altair_chart(charts.approval_and_pd(table))
    else:
        left.caption("A line needs decisions at two or more times.")
    right.subheader("Rating")
    right.altair_chart(charts.ratings(cached.query(url, "ratings", since)))
    st.subheader("Credit score")
    st.altair_chart(charts.scores(cached.query(url, "scores", since)))
    st.subheader("Newest decisions")
    show_table(cached.query(url, "latest"))


def show_table(rows: list[dict[str, Any]]) -> None:
    """Show rows as a table, with times to the minute and probabilities in percent."""
    table = pd.DataFrame(rows)
    for name in {"time", "first", "last", "opened", "closed"} & {*table.columns}:
        table[name] = table[name].map(minute, na_action="ignore").fillna("")
    percent = st.column_config.NumberColumn("PD", format="percent")
    columns: dict[str, Any] = {"default_probability": percent, "credit_score": "score"}
    columns |= {"refers_to": "prediction_id", "decisions": COUNT}
    st.dataframe(table, hide_index=True, column_config=columns)


def drift(url: str) -> None:
    """Show the newest report about a window: its findings, and each feature beside training."""
    sizes = cached.query(url, "windows")
    if not sizes:
        st.info("There is no drift report before the first window of decisions is full.")
        return
    window = st.selectbox("Window, decisions", sizes, index=len(sizes) - 1)
    report = cached.query(url, "newest_reports", window)[0]
    st.markdown(
        f"Decisions of {minute(report['since'])} to {minute(report['until'])}, "
        f"model `{report['model']}`: **{report['loudest']}**. {escape(report['advice'])}"
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
        charts.show_feature(st.selectbox("Feature", table["feature"]), features)
    lines = [
        f"- {LOUDNESS[f['loudness']]} **{escape(f['field'])}**: {escape(f['words'])}"
        for f in report["findings"]
    ]
    st.markdown("\n".join(lines))


def performance(url: str) -> None:
    """Show the performance expected from the PDs, and the performance realised by outcomes."""
    sizes = cached.query(url, "windows")
    if sizes:
        st.subheader("Expected, from the PDs alone")
        reports = cached.query(url, "newest_reports", sizes[-1])[::-1]
        titles = {"roc_auc": "ROC-AUC", "bad_rate": "Bad rate"}
        for place, (name, title) in zip(st.columns(2), titles.items(), strict=True):
            table = pd.DataFrame([{"time": r["time"], **r["expected"][name]} for r in reports])
            place.markdown(f"{title} of the last {sizes[-1]:,} decisions, with its 95 % interval")
            place.altair_chart(charts.interval_over_time(table.dropna(), title))
    st.subheader("Realised")
    facts = cached.realised_performance(url)
    if not facts["mature"]:
        st.info(f"There are {facts['outcomes']:,} outcomes, none of them of a mature decision.")
        return
    whole = pd.DataFrame([{"decisions": facts["mature"]} | facts["all"]])
    st.dataframe(whole, hide_index=True, column_config={"decisions": COUNT})
    for place, name in zip(st.columns(2), ("by_vintage", "by_rating"), strict=True):
        place.markdown(f"Bad rate {name.replace('_', ' ')}, expected and realised")
        place.altair_chart(charts.bad_rates(facts[name]))


def overrides(url: str) -> None:
    """Show the overrides of referred decisions."""
    rows = cached.query(url, "latest_overrides")
    if not rows:
        st.info("Nobody has decided about a referred application yet.")
        return
    counts = cached.query(url, "overrides")
    st.markdown(", ".join(f"**{count:,}** {decision}" for decision, count in counts.items()))
    show_table(rows)


def model(url: str) -> None:
    """Show the winner, all models that have decided, and the incidents."""
    if METRICS.exists():
        facts = json.loads(METRICS.read_text())
        trained = facts["trained_on"]
        st.markdown(
            f"Winner **{facts['winner']}** on {facts['dataset']}, {facts['mode']} mode; trained on "
            f"{trained['rows']:,} rows, {trained['bad_rate']:.1%} bad. Its metrics on test:"
        )
        figures = {name: facts["test"][name]["value"] for name in HEADLINES}
        st.dataframe(pd.DataFrame([figures]), hide_index=True)
    for title, question in (("Models that decided", "models"), ("Incidents", "latest_incidents")):
        st.subheader(title)
        rows = cached.query(url, question)
        if rows:
            show_table(rows)
        else:
            st.info("None so far.")


def escape(words: str) -> str:
    """Return a text in which every character that is special in Markdown is escaped."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>$#~:|!" else letter for letter in words)
