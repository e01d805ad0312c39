"""Charts of the PDs themselves: calibration, distribution, importance, vintages, decisions."""

from __future__ import annotations

import pandas as pd

from stages.plots.layers import (
    BAD,
    GOOD,
    SIZE,
    WINNER,
    Chart,
    Report,
    diagonal,
    number,
    title_of,
    values,
    with_interval,
)


def calibration(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of bad rate by mean PD, for tenths of the rows."""
    high = float(table[["mean_pd", "bad_rate"]].to_numpy().max())
    x = number("mean_pd", "Mean PD of a tenth of the loans", type="sqrt")
    y = number("bad_rate", "Bad rate", type="sqrt")
    points = {
        "data": values(table),
        "mark": {"type": "line", "color": WINNER, "point": {"color": WINNER, "size": 70}},
        "encoding": {"x": x, "y": y},
    }
    equal = diagonal("mean_pd", "bad_rate", high)
    equal["encoding"] = {"x": x, "y": y}
    subtitle = f"Calibration error {with_interval(report, 'ece')}"
    return SIZE | {"layer": [equal, points], "title": title_of("Calibration", report, subtitle)}


def scores(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of the numbers of good and bad loans by PD."""
    long = table.melt(["low", "high"], ["good", "bad"], "outcome", "loans")
    long = long[long["loans"] > 0].assign(floor=0.5)
    colours = {"domain": ["good", "bad"], "range": [GOOD, BAD]}
    bars = {
        "data": values(long),
        "mark": {"type": "bar", "opacity": 0.75},
        "encoding": {
            "x": number("low", "PD"),
            "x2": {"field": "high"},
            "y": number("loans", "Loans (logarithmic)", type="log", domainMin=0.5),
            "y2": {"field": "floor"},
            "row": {"field": "outcome", "sort": ["good", "bad"], "title": None},
            "color": {"field": "outcome", "type": "nominal", "scale": colours, "legend": None},
        },
    }
    cut_off = report["cut_offs"]["cut_off"]
    subtitle = f"The policy's cut-off stands at a PD of {cut_off:.4f}"
    title = title_of("Score distribution", report, subtitle)
    return {"width": 420, "height": 160, "title": title} | bars


def importance(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of the features in the order of their importance."""
    return {
        "width": 420,
        "height": {"step": 20},
        "data": values(table),
        "mark": {"type": "bar", "color": WINNER},
        "encoding": {
            "x": number("importance", "Mean |SHAP|, log-odds"),
            "y": {
                "field": "feature",
                "type": "nominal",
                "sort": "-x",
                "title": None,
                "axis": {"labelLimit": 260},
            },
        },
        "title": title_of("Importance", report, "Exact contributions"),
    }


def vintages(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of bad rate and mean PD by quarter."""
    names = {"bad_rate": "bad rate", "mean_pd": "mean PD"}
    long = table.rename(columns=names).melt("vintage", list(names.values()), "figure", "share")
    colours = {"domain": list(names.values()), "range": [BAD, WINNER]}
    return SIZE | {
        "data": values(long),
        "mark": {"type": "line", "strokeWidth": 3, "point": {"size": 70}},
        "encoding": {
            "x": {
                "field": "vintage",
                "type": "ordinal",
                "title": "Quarter of disbursal",
                "axis": {"labelAngle": 0},
            },
            "y": number("share", "Share of loans", zero=False),
            "color": {
                "field": "figure",
                "type": "nominal",
                "scale": colours,
                "legend": {"title": None, "orient": "top"},
            },
        },
        "title": title_of("Vintages", report, "The scale does not begin at 0"),
    }


def confusion(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of the numbers of loans by outcome and by side of the cut-off."""
    cells = table.value_counts(["actual", "predicted"]).rename("loans").reset_index()
    axes = {
        "x": {"field": "actual", "type": "nominal", "title": "Actual", "axis": {"labelAngle": 0}},
        "y": {"field": "predicted", "type": "nominal", "title": "Predicted at the cut-off"},
    }
    scale = {"type": "log", "range": ["#e3eef8", "#9ec5e6"]}
    shade = {"field": "loans", "type": "quantitative", "scale": scale, "legend": None}
    text = {"field": "loans", "type": "quantitative", "format": ","}
    return {
        "width": 300,
        "height": 240,
        "data": values(cells),
        "layer": [
            {"mark": "rect", "encoding": axes | {"color": shade}},
            {"mark": {"type": "text", "fontSize": 20}, "encoding": axes | {"text": text}},
        ],
        "title": title_of(
            "Confusion", report, f"Bad is a PD from {report['cut_offs']['cut_off']:.4f}"
        ),
    }
