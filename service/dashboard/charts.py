"""The charts of the dashboard that Streamlit itself does not offer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import altair as alt
import pandas as pd
from scipy.special import expit

from service.dashboard import queries
from service.dashboard.formatting import SEVERITIES
from service.dashboard.formatting import SHADES as SEVERITY_SHADES
from service.ledger.storage.schema import BAND
from service.monitoring.drift_rules import format_number

Chart = Any  # altair does not annotate its methods
PAIR: list[Any] = ["#9aa5b1", "#2563a8"]  # the colours of reference and live data
DECISIONS = {"approve": "#2a9d6f", "refer": "#e0a526", "decline": "#c8453b"}
SHADES = alt.Scale(domain=list(DECISIONS), range=list(DECISIONS.values()))
HEIGHT = 260
MAX_MARKS = 40  # a line with more points has no marks
BELOW = alt.Legend(orient="bottom")
UTC = alt.Scale(type="utc")
UNITS: dict[int, tuple[Any, str]] = {  # Vega's time unit and label, by the length of a time's text
    7: ("utcyearmonth", "%b %Y"),
    10: ("utcyearmonthdate", "%d %b"),
    13: ("utcyearmonthdatehours", "%d %b %H:%M"),
    16: ("utcyearmonthdatehoursminutes", "%H:%M"),
    19: ("utcyearmonthdatehoursminutesseconds", "%H:%M:%S"),
}
SHORT, LONG = pd.Timedelta(hours=1), pd.Timedelta(days=10)
FLAT = alt.Axis(labelAngle=0)


def decisions_over_time(table: pd.DataFrame) -> Chart:
    """Return a chart of stacked decisions by `time`, the first characters of a ledger's time."""
    unit, form = UNITS[len(table["time"].iloc[0])]
    axis = alt.Axis(format=form, labelOverlap=True)
    x = alt.X("when:T", timeUnit=unit, title=None, scale=UTC, axis=axis)
    named = alt.Color("decision:N", scale=SHADES, sort=list(DECISIONS), title=None, legend=BELOW)
    bars = alt.Chart(with_times(table)).mark_bar().encode(
        x=x, y=alt.Y("sum(decisions):Q", title="decisions"), color=named, order="place:Q",
        tooltip=["time:N", "decision:N", "decisions:Q"],
    )  # fmt: skip
    return bars.properties(height=HEIGHT)


def approval_and_pd(table: pd.DataFrame) -> Chart:
    """Return a chart of the approval rate and the mean PD over time."""
    counted = table.assign(approved=table["decisions"].where(table["decision"] == "approve", 0))
    sums = counted.groupby("time")[["decisions", "approved", "pd"]].sum()
    shares = {"approval rate": sums["approved"], "mean PD": sums["pd"]}
    long = pd.concat(
        [
            (s / sums["decisions"]).rename("share").reset_index().assign(of=n)
            for n, s in shares.items()
        ]
    )
    scale = alt.Scale(domain=list(shares), range=[DECISIONS["approve"], PAIR[1]])
    y = alt.Y("share:Q", title=None, axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    colour = alt.Color("of:N", scale=scale, title=None, legend=BELOW)
    line = alt.Chart(with_times(long)).mark_line(point=len(sums) < MAX_MARKS)
    x = alt.X("when:T", title=None, scale=UTC, axis=time_axis(table))
    return line.encode(x=x, y=y, color=colour).properties(height=HEIGHT)


def time_axis(table: pd.DataFrame) -> alt.Axis:
    """Return an axis that shows days, or times of the day where the times span few of them."""
    when = pd.to_datetime(table["time"], format="ISO8601", utc=True)
    span = when.max() - when.min()
    form = "%H:%M:%S" if span < SHORT else "%d %b %H:%M" if span < LONG else "%d %b %Y"
    return alt.Axis(format=form, tickCount=5, labelOverlap=True)


def with_times(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the columns `when` (`time` as a datetime) and `place` in the stack."""
    made = table.assign(when=pd.to_datetime(table["time"], format="ISO8601", utc=True))
    if "decision" in made:
        made["place"] = made["decision"].map({d: i for i, d in enumerate(DECISIONS)})
    return made


def ratings(rows: queries.Rows) -> Chart:
    """Return a chart of the decisions by rating."""
    x = alt.X("rating:N", title=None, axis=FLAT)
    bars = alt.Chart(pd.DataFrame(rows)).mark_bar(color=PAIR[1])
    chart = bars.encode(x=x, y=alt.Y("decisions:Q", title="decisions"))
    return with_training(chart, rows, x).properties(height=HEIGHT)


def with_training(chart: Chart, rows: queries.Rows, x: alt.X) -> Chart:
    """Return a chart of bars with a mark for what the training rows suggest, where it is known."""
    if not all("training" in row for row in rows):
        return chart
    marks = alt.Chart(pd.DataFrame(rows)).mark_tick(
        color=PAIR[0], thickness=4, size=28, orient="horizontal"
    )
    return chart + marks.encode(
        x=x, y="training:Q", tooltip=[alt.Tooltip("training", format=",.0f")]
    )


def scores(rows: queries.Rows) -> Chart:
    """Return a chart of the decisions by band of the credit score, with gaps for empty bands."""
    table = pd.DataFrame(rows)
    table["end"] = table["score"] + BAND
    x = alt.X("score:Q", bin="binned", title=None, scale=alt.Scale(zero=False, nice=False))
    bars = alt.Chart(table).mark_bar(color=PAIR[1], binSpacing=1)
    tooltip = ["score", "end", "decisions"]
    y = alt.Y("decisions:Q", title="decisions")
    chart = bars.encode(x=x, x2="end:Q", y=y, tooltip=tooltip)
    middle = [row | {"middle": row["score"] + BAND / 2} for row in rows]
    return with_training(chart, middle, alt.X("middle:Q")).properties(height=HEIGHT)


def bad_rates(facts: dict[str, dict[str, float]]) -> Chart:
    """Return a chart of the expected and the realised bad rate of each label."""
    rows = [
        {"label": label, "of": of, "share": rates[name]}
        for label, rates in facts.items()
        for of, name in (("expected", "expected"), ("realised", "bad_rate"))
    ]
    colour = alt.Color(
        "of:N",
        scale=alt.Scale(domain=["expected", "realised"], range=PAIR),
        title=None,
        legend=BELOW,
    )
    bars = alt.Chart(pd.DataFrame(rows)).mark_bar()
    return bars.encode(
        x=alt.X("label:N", title=None, axis=FLAT), xOffset="of:N", color=colour,
        y=alt.Y("share:Q", title=None, axis=alt.Axis(format="%")),
    ).properties(height=HEIGHT)  # fmt: skip


def labels(reference: dict[str, Any]) -> list[str]:
    """Return the names of a reference's bins, in their order."""
    if reference["kind"] == "category":
        return list(map(str, reference["categories"]))
    edges = [format_number(edge) for edge in reference["edges"]]
    if not edges:
        return ["all"]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}", *between, f"from {edges[-1]}"]


def points_of(reference: dict[str, Any], score: Callable[[Any], Any]) -> list[str]:
    """Return the names of the score's bins in points, the lowest first."""
    odds = [float(score(expit(edge))) for edge in reversed(reference["edges"])]
    return labels({"kind": "number", "edges": [round(points) for points in odds]})


def severities(table: pd.DataFrame) -> Chart:
    """Return a chart with a mark for each report and feature in the colour of its severity."""
    colour = alt.Color(
        "severity:N",
        scale=alt.Scale(domain=list(SEVERITIES), range=list(SEVERITY_SHADES)),
        title=None,
        legend=alt.Legend(orient="bottom", columns=2),
    )
    shape = alt.Shape(
        "severity:N",
        scale=alt.Scale(domain=list(SEVERITIES), range=["circle", "circle", "square", "diamond"]),
        legend=None,
    )
    order = alt.EncodingSortField("place", op="min")
    rows = table["feature"].nunique()
    marks = alt.Chart(with_times(table)).mark_point(filled=True, size=90, opacity=1)
    return marks.encode(
        x=alt.X("when:T", title="end of the window, UTC", scale=UTC, axis=time_axis(table)),
        y=alt.Y("feature:N", title=None, sort=order, axis=alt.Axis(labelLimit=220)),
        color=colour, shape=shape, tooltip=["time", "feature", "severity", "words"],
    ).properties(height=150 + 30 * rows)  # fmt: skip


def interval_over_time(table: pd.DataFrame, name: str, tested: float | None) -> Chart:
    """Return a chart of a figure and its interval over time, with the test rows' as a line."""
    base = alt.Chart(with_times(table)).encode(
        x=alt.X("when:T", title=None, scale=UTC, axis=time_axis(table))
    )
    scale = alt.Scale(zero=False)
    between = base.mark_area(opacity=0.25, color=PAIR[1])
    line = base.mark_line(point=True, color=PAIR[1])
    chart = between.encode(y=alt.Y("low:Q", scale=scale, title=name), y2="high:Q") + line.encode(
        y=alt.Y("value:Q", scale=scale, title=name)
    )
    if tested is not None:
        rule = alt.Chart(pd.DataFrame({"tested": [tested]})).mark_rule(strokeDash=[6, 4])
        chart += rule.encode(y="tested:Q", color=alt.value(PAIR[0]), size=alt.value(2))
    return chart


def bins(names: list[str], training: list[float], live: list[float], title: str) -> Chart:
    """Return a chart of the shares of a feature's bins in training and live."""
    rows = [
        {"bin": name, "of": of, "share": share}
        for of, shares in (("training", training), ("live", live))
        for name, share in zip(names, shares, strict=True)
    ]
    scale = alt.Scale(domain=["training", "live"], range=PAIR)
    x = alt.X(
        "bin:N",
        title=title,
        sort=names,
        axis=alt.Axis(labelAngle=-60, labelLimit=200, labelOverlap=False),
    )
    bars = alt.Chart(pd.DataFrame(rows)).mark_bar()
    return bars.encode(
        x=x, xOffset=alt.XOffset("of:N", sort=["training", "live"]),
        y=alt.Y("share:Q", title=None, axis=alt.Axis(format="%")),
        color=alt.Color("of:N", scale=scale, title=None, legend=BELOW),
        tooltip=["bin", "of", alt.Tooltip("share", format=".1%")],
    ).properties(height=HEIGHT + 100)  # fmt: skip
