"""The tabs about decisions, performance, fairness, overrides and the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from service import settings
from service.dashboard import cached, charts, queries
from service.dashboard.baselines import Baselines, with_training_ratings, with_training_scores
from service.dashboard.drift_tab import scope_of
from service.dashboard.formatting import (
    COLOURED,
    describe_incident,
    minute,
    models_in_words,
    title_of,
    with_sign,
)
from stages import params
from stages.judging.evaluation import order_of_group

WHOLE = st.column_config.NumberColumn("score", format="%.0f")
DOSSIER = Path("models/dossier/index.html")
COUNT = st.column_config.NumberColumn(format="localized")
HEADLINES = {
    "roc_auc": "ROC-AUC",
    "gini": "Gini",
    "ks": "KS",
    "brier": "Brier score",
    "ece": "ECE",
    "mean_pd": "Mean PD",
    "bad_rate": "Bad rate",
    "approval_rate": "Approval rate",
}


def decisions(url: str, overview: queries.Overview, scope: str, known: Baselines) -> None:
    """Show the decisions over time, by rating and by credit score, and the newest decisions."""
    st.caption(scope)
    if not overview.totals.decisions:
        st.info("No decisions in this period.")
        if not overview.models:
            st.info(
                "The ledger holds no decision so far: `make serve` starts the service that "
                "decides, and `make demo` shows a story of two minutes."
            )
        return
    table = pd.DataFrame(overview.over_time)
    st.header("Decisions over time")
    st.altair_chart(charts.decisions_over_time(table))
    left, right = st.columns(2)
    left.header("Approval rate and mean PD")
    if table["time"].nunique() > 1:
        left.altair_chart(charts.approval_and_pd(table))
    else:
        left.caption("A line needs decisions at two or more times.")
    right.header("Rating")
    policy = params.load(with_candidates=False).policy
    right.altair_chart(charts.ratings(with_training_ratings(overview.ratings, policy, known)))
    st.header("Credit score")
    st.altair_chart(charts.scores(with_training_scores(overview.scores, policy, known)))
    if known.shares_between((0, 1)):
        st.caption("Grey marks: as many decisions as the model's training rows would give.")
    st.header("Newest decisions")
    show_table(cached.query(url, queries.latest))


def show_table(rows: list[dict[str, Any]]) -> None:
    """Show rows as a table, with times to the minute and probabilities in percent."""
    table = pd.DataFrame(rows)
    for name in {"time", "first", "last", "opened", "closed"} & {*table.columns}:
        table[name] = table[name].map(minute, na_action="ignore").fillna("")
    percent = st.column_config.NumberColumn("PD", format="percent")
    columns: dict[str, Any] = {"default_probability": percent, "credit_score": WHOLE}
    if "decisions" in table and table["decisions"].dtype.kind == "i":
        columns["decisions"] = COUNT
    address = settings.load().page_url.rstrip("/")
    for name in {"id", "refers_to"} & {*table.columns}:
        table[name] = address + "/#/decision/" + table[name]
        columns[name] = st.column_config.LinkColumn("case", display_text="#/decision/(.*)")
    for name in {"model", "policy"} & {*table.columns}:
        columns[name] = st.column_config.TextColumn(name)
    st.dataframe(table, hide_index=True, column_config=columns)


def performance(url: str, known: Baselines) -> None:
    """Show the performance expected from the PDs, and the performance realised by outcomes."""
    windows = cached.query(url, queries.window_sizes)
    if windows:
        st.header("Expected, from the PDs alone")
        reports = cached.query(url, queries.newest_reports, windows[-1])[::-1]
        st.caption(f"{scope_of(reports[-1])} The dashed line is the winner on test rows.")
        titles = {"roc_auc": "ROC-AUC", "bad_rate": "Bad rate"}
        for place, (name, title) in zip(st.columns(2), titles.items(), strict=True):
            table = pd.DataFrame([{"time": r["time"], **r["expected"][name]} for r in reports])
            place.markdown(f"{title} of the last {windows[-1]:,} decisions, with its 95 % interval")
            place.altair_chart(charts.interval_over_time(table.dropna(), title, known.test(name)))
    st.header("Realised, by outcomes")
    facts = cached.realised_performance(url)
    days = facts["maturity_days"]
    if not facts["mature"]:
        st.info("No outcome is recorded so far.")
        return
    if facts["provisional"]:
        st.warning(
            f"Provisional: none of the {facts['outcomes']:,} outcomes is of a decision that is "
            f"{days} days old. Bad loans are known first, so these figures are too bad."
        )
    first, last = facts["days"]
    st.caption(
        f"Decisions of {first} to {last}, {models_in_words(facts['models'])}, each by the policy "
        f"that decided: {facts['mature']:,} of {facts['outcomes']:,} outcomes"
        + ("." if facts["provisional"] else f", all at least {days} days old.")
    )
    show_realised(facts, known)


def show_realised(facts: dict[str, Any], known: Baselines) -> None:
    """Show realised beside expected figures, overall and by several labels."""
    whole, profit = facts["all"], facts["profit"]
    auc, tested = whole["roc_auc"], known.test("roc_auc")
    figures = {
        "Loans with an outcome": (f"{facts['mature']:,}", None),
        "Bad rate": (
            f"{whole['bad_rate']:.1%}",
            f"{with_sign(100 * (whole['bad_rate'] - whole['mean_pd']))} points, "
            f"{whole['mean_pd']:.1%} expected",
        ),
        "ROC-AUC": (
            "none" if auc is None else f"{auc:.3f}",
            None
            if auc is None or tested is None
            else f"{with_sign(auc - tested, 3)}, test {tested:.3f}",
        ),
        "Profit per unit lent": (
            "not known" if profit["realised"] is None else f"{profit['realised']:+.3f}",
            None if profit["expected"] is None else f"{profit['expected']:+.3f} expected",
        ),
        "Brier score": (
            f"{whole['brier']:.3f}",
            None
            if (brier := known.test("brier")) is None
            else f"{with_sign(whole['brier'] - brier, 3)}, test {brier:.3f}",
        ),
    }
    places = st.columns(len(figures))
    for place, (title, (value, delta)) in zip(places, figures.items(), strict=True):
        place.metric(title, value, delta, delta_color="off", delta_arrow="off")
    labels = ("by_decision", "by_rating", "by_vintage")
    for place, name in zip(st.columns(len(labels)), labels, strict=True):
        place.markdown(f"Bad rate {name.replace('_', ' ')}, expected and realised")
        place.altair_chart(charts.bad_rates(facts[name]))


def fairness(url: str, known: Baselines) -> None:
    """Show approval rates by group of each protected attribute, beside those of the test rows."""
    report = cached.newest_report(url)
    if not report.get("groups"):
        st.info("No report has a protected attribute with groups that are large enough.")
        return
    st.caption(
        f"{scope_of(report)} The ratio is to the group that is approved most often; below the "
        "bound of `monitor.lowest_approval_ratio` it is a warning."
    )
    for field, groups in report["groups"].items():
        found = [
            f for f in report["findings"] if (f["field"], f["rule"]) == (field, "approval_ratio")
        ]
        word = COLOURED[found[0]["loudness"] if found else "quiet"]
        st.markdown(f"**{title_of(field, report)}** {word} {found[0]['words'] if found else ''}")
        st.dataframe(
            pd.DataFrame(groups_of(field, groups, known)),
            hide_index=True,
            column_config=dict.fromkeys(
                ("approval rate", "on test rows", "mean PD"),
                st.column_config.NumberColumn(format="percent"),
            )
            | {"ratio": st.column_config.NumberColumn(format="%.2f"), "decisions": COUNT},
        )


def groups_of(field: str, groups: dict[str, Any], known: Baselines) -> list[dict[str, Any]]:
    """Return one row per group, with its approval rate as a ratio to the highest."""
    best = max(group["approval_rate"] for group in groups.values())
    return [
        {
            "group": name,
            "decisions": group["rows"],
            "approval rate": group["approval_rate"],
            "ratio": group["approval_rate"] / best if best else None,
            "on test rows": known.group(field, name, "approval_rate"),
            "mean PD": group["mean_pd"],
        }
        for name, group in sorted(groups.items(), key=lambda item: order_of_group(item[0]))
    ]


def overrides(url: str, since: str, scope: str) -> None:
    """Show the overrides of referred decisions."""
    st.caption(scope)
    rows = cached.query(url, queries.latest_overrides, since)
    if not rows:
        st.info("Nobody has decided about a referred application in this period.")
        return
    counts = cached.query(url, queries.overrides, since)
    st.markdown(", ".join(f"**{count:,}** {decision}" for decision, count in counts.items()))
    show_table(rows)


def model(url: str, models: queries.Rows, known: Baselines) -> None:
    """Show the winner, all models that have decided, and the incidents."""
    facts = known.evaluation
    if facts:
        trained, again = facts["trained_on"], facts.get("shipped")
        refit = f"; ships fitted again on {again['rows']:,} rows" if again else ""
        st.markdown(
            f"Winner **{facts['winner']}** on {facts['dataset']}, {facts['mode']} mode; trained on "
            f"{trained['rows']:,} rows, {trained['bad_rate']:.1%} bad{refit}. Its metrics on test:"
        )
        figures = {title: facts["test"][name]["value"] for name, title in HEADLINES.items()}
        st.dataframe(pd.DataFrame([figures]), hide_index=True)
        offer_dossier()
    report = cached.newest_report(url)
    incidents = [
        describe_incident(row, report) for row in cached.query(url, queries.latest_incidents)
    ]
    for title, rows in (("Models that decided", models), ("Incidents", incidents)):
        st.header(title)
        st.caption("All time, in UTC.")
        if rows:
            show_table(rows)
        else:
            st.info("None so far.")


def offer_dossier() -> None:
    """Offer the winner's dossier as a file, or say how it is made."""
    try:
        page = DOSSIER.read_bytes()
    except OSError:
        st.caption("The model's dossier is not here: `make dossier` writes it.")
        return
    st.download_button("Dossier of the winner", page, "dossier.html", "text/html")
