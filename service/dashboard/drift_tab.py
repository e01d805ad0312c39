"""The tab about drift: the newest report, its time line, and each feature beside training."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from service.dashboard import cached, charts, queries
from service.dashboard.baselines import SCORE, Baselines
from service.dashboard.formatting import COLOURED, SEVERITIES, escape, minute, severity, title_of
from stages import params

REPORTS = 60  # in the time line
MOST_FEATURES = 15  # in the time line, the loudest first


def drift(url: str, known: Baselines) -> None:
    """Show the reports about a window, the newest with its findings and features."""
    sizes = cached.query(url, queries.window_sizes)
    if not sizes:
        st.info("There is no drift report before the first window of decisions is full.")
        return
    window = st.selectbox(
        "Window, decisions", sizes, index=len(sizes) - 1, format_func=lambda size: f"{size:,}"
    )
    reports = cached.query(url, queries.newest_reports, window, REPORTS)
    report = reports[0]
    st.markdown(
        f"{COLOURED.get(report['loudest'], report['loudest'])} **{escape(report['advice'])}**"
    )
    st.caption(scope_of(report))
    st.header("Severity over time")
    st.altair_chart(charts.severities(pd.DataFrame(timeline(reports))))
    st.header("Features of the newest report")
    table = pd.DataFrame(features_of(report, known))
    left, right = st.columns(2)
    three = st.column_config.NumberColumn(format="%.3f")
    percent = st.column_config.NumberColumn(format="percent")
    columns = {"PSI": three, "bound": three, "missing": percent, "missing in training": percent}
    left.dataframe(table.drop(columns="name"), hide_index=True, height=420, column_config=columns)
    with right:
        names = dict(zip(table["name"], table["feature"], strict=True))
        chosen = st.selectbox("Feature", names, format_func=lambda name: names[name])
        show_feature(chosen, names[chosen], report, known)
    lines = [
        f"- {COLOURED[f['loudness']]} **{escape(title_of(f['field'], report))}**: "
        f"{escape(f['words'])}"
        for f in report["findings"]
    ]
    st.markdown("\n".join(lines))


def scope_of(report: dict[str, Any]) -> str:
    """Return which decisions of which model a report is about."""
    period = f"{minute(report['since'])} to {minute(report['until'])} UTC"
    return f"The last {report['window']:,} decisions, {period}, model `{report['model']}`."


def timeline(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per report and feature, for the features that were ever the loudest."""
    loudest: dict[str, int] = {SCORE: 0}
    for report in reports:
        for finding in report["findings"]:
            step = SEVERITIES.index(finding["loudness"])
            loudest[finding["field"]] = max(step, loudest.get(finding["field"], 0))
    shown = sorted(loudest, key=lambda name: -loudest[name])[:MOST_FEATURES]
    rows = []
    for report in reversed(reports):
        words = {f["field"]: f["words"] for f in reversed(report["findings"])}
        rows += [
            {
                "time": report["until"][:19],
                "feature": title_of(name, reports[0]),
                "severity": severity(name, report["findings"]),
                "words": words.get(name, "as in training"),
                "place": place,
            }
            for place, name in enumerate(shown)
        ]
    return rows


def features_of(report: dict[str, Any], known: Baselines) -> list[dict[str, Any]]:
    """Return one row per feature, and one of the score, the loudest and most shifted first."""
    rows = []
    for name, facts in (report["features"] | {SCORE: report["score"]}).items():
        trained = known.part(name) or {}
        rows.append(
            {
                "name": name,
                "feature": title_of(name, report),
                "severity": severity(name, report["findings"]),
                "PSI": facts.get("psi", {}).get("value"),
                "bound": facts.get("psi", {}).get("bound"),
                "missing": facts["missing"]["value"],
                "missing in training": trained.get("missing"),
            }
        )
    rows.sort(key=lambda row: (-SEVERITIES.index(row["severity"]), -(row["PSI"] or 0)))
    return rows


def show_feature(name: str, title: str, report: dict[str, Any], known: Baselines) -> None:
    """Show the shares of a feature's bins in the window and in the training data."""
    trained = known.part(name)
    if trained is None:
        st.info("models/reference.json does not describe it: run the pipeline.")
        return
    live = (report["features"] | {SCORE: report["score"]})[name]["shares"]
    if len(trained["shares"]) != len(live):
        st.info("The report is about another model than the reference in this folder.")
        return
    bins, shares = charts.labels(trained), trained["shares"]
    if name == SCORE:  # a higher score is a lower log-odds
        policy = params.load(with_candidates=False).policy
        bins, shares, live = charts.points_of(trained, policy.score), shares[::-1], live[::-1]
    st.altair_chart(charts.bins(bins, shares, live, title))
