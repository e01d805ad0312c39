"""Charts of how well PDs rank loans: precision and recall, KS, and metrics by candidate."""

from __future__ import annotations

import pandas as pd

from stages.plots.layers import (
    BAD,
    GOOD,
    GREY,
    OTHERS,
    SIZE,
    WINNER,
    Chart,
    Report,
    label,
    line,
    number,
    title_of,
    values,
    with_interval,
)


def precision_recall(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of precision by recall, with the precision of a choice by chance."""
    rate = report["test"]["bad_rate"]["value"]
    ends = [{"recall": end, "precision": rate} for end in (0.0, 1.0)]
    curve = {
        "data": values(table),
        "mark": {"type": "line", "strokeWidth": 3, "color": WINNER},
        "encoding": {
            "x": number("recall", "Recall", domain=[0, 1]),
            "y": number("precision", "Precision", domain=[0, 1]),
        },
    }
    chance = line(ends, "recall", "precision", color=GREY, strokeDash=[5, 4])
    text = label(0.02, rate, f"by chance, {rate:.3f}", color=GREY, baseline="top", dy=4)
    subtitle = f"PR-AUC {with_interval(report, 'pr_auc')}"
    return SIZE | {
        "layer": [chance, curve, text],
        "title": title_of("Precision and recall", report, subtitle),
    }


def ks(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of the shares of goods and bads below each PD, and their widest gap."""
    long = table.melt("pd", ["good_share", "bad_share"], "outcome", "share")
    long["outcome"] = long["outcome"].map({"good_share": "good", "bad_share": "bad"})
    gaps = (table["good_share"] - table["bad_share"]).abs()
    widest = table.iloc[int(gaps.to_numpy().argmax())]
    x = number("pd", "PD (square-root scale)", type="sqrt")
    colours = {"domain": ["good", "bad"], "range": [GOOD, BAD]}
    lines = {
        "data": values(long),
        "mark": {"type": "line", "strokeWidth": 3},
        "encoding": {
            "x": x,
            "y": number("share", "Share of loans below"),
            "color": {
                "field": "outcome",
                "type": "nominal",
                "scale": colours,
                "legend": {"title": None, "orient": "bottom-right"},
            },
        },
    }
    shares = ("good_share", "bad_share")
    gap = line(
        [{"pd": widest["pd"], "share": widest[name]} for name in shares],
        "pd",
        "share",
        color="black",
    )
    middle = (float(widest["good_share"]) + float(widest["bad_share"])) / 2
    value = f"KS {report['test']['ks']['value']:.4f}"
    text = label(float(widest["pd"]), middle, value, dx=6, fontWeight="bold")
    title = title_of("KS", report, f"KS {with_interval(report, 'ks')}")
    return SIZE | {"layer": [lines, gap, text], "title": title}


def candidates(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of each candidate's metrics, with the winner in its colour."""
    metrics = {
        "roc_auc": "ROC-AUC",
        "pr_auc": "PR-AUC",
        "ks": "KS",
        "brier": "Brier (less is better)",
    }
    order = table.sort_values("roc_auc", ascending=False)["candidate"].to_list()
    table = table.assign(won=table["candidate"] == report["winner"])
    colour = {"condition": {"test": "datum.won", "value": WINNER}, "value": GREY}

    def panel(name: str, title: str, first: bool) -> Chart:
        axis = {"labelFontSize": 13} if first else None
        y = {"field": "candidate", "type": "nominal", "sort": order, "title": None, "axis": axis}
        axes = {
            "x": number(name, title, zero=False, nice=True, padding=24),
            "y": y,
            "color": colour,
        }
        text = {"text": {"field": name, "type": "quantitative", "format": ".4f"}}
        point = {"type": "point", "filled": True, "size": 110, "opacity": 1}
        return {
            "width": 170,
            "height": {"step": 40},
            "layer": [
                {"mark": point, "encoding": axes},
                {"mark": {"type": "text", "dy": -13}, "encoding": axes | text},
            ],
        }

    return {
        "data": values(table),
        "hconcat": [panel(name, title, not i) for i, (name, title) in enumerate(metrics.items())],
        "title": {
            "text": "Candidates on the validation rows",
            "subtitle": f"The winner in blue: {report['winner']}",
        },
    }


def origins(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of each candidate's ROC-AUC over time, the winner's with its intervals."""
    won = table["candidate"] == report["winner"]
    x = {"field": "origin", "type": "ordinal", "title": "Judged from", "axis": {"labelAngle": -30}}
    names = list(dict.fromkeys(table["candidate"]))
    colours = iter(OTHERS * len(names))
    shades = [WINNER if name == report["winner"] else next(colours) for name in names]
    y = number("roc_auc", "ROC-AUC", zero=False)
    lines = {
        "data": values(table),
        "mark": {"type": "line", "strokeWidth": 2.5, "point": {"size": 60}},
        "encoding": {
            "x": x,
            "y": y,
            "color": {
                "field": "candidate",
                "type": "nominal",
                "scale": {"domain": names, "range": shades},
                "legend": {"title": None, "orient": "right"},
            },
        },
    }
    interval = {
        "data": values(table[won]),
        "mark": {"type": "rule", "color": WINNER, "strokeWidth": 1.5},
        "encoding": {"x": x, "y": number("low", "ROC-AUC", zero=False), "y2": {"field": "high"}},
    }
    past = "fitted and calibrated on the loans before" if "backtest" in report else "out of fold"
    subtitle = [
        f"Each {past}; {report['winner']} with 95 % intervals",
        "The scale does not begin at 0",
    ]
    title = {"text": "Candidates over time", "subtitle": subtitle}
    return SIZE | {"layer": [interval, lines], "title": title}
