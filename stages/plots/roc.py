"""The ROC curves of all candidates on validation rows, and the winner's on test rows."""

from __future__ import annotations

import pandas as pd

from stages.plots.layers import (
    GREY,
    OTHERS,
    SIZE,
    WINNER,
    Chart,
    Report,
    diagonal,
    label,
    number,
    values,
)

X, Y = "false_positive_rate", "true_positive_rate"
AXES = {"x": number(X, "False positive rate"), "y": number(Y, "True positive rate")}
CHANCE = [diagonal(X, Y), label(0.6, 0.55, "by chance, AUC 0.5", color=GREY)]


def draw(table: pd.DataFrame, report: Report) -> Chart:
    """Return the chart of both panels; rows of the winner on test have no `candidate`."""
    on_test = table["candidate"].isna()
    return {
        "hconcat": [all_candidates(table[~on_test], report), winner(table[on_test], report)],
        "resolve": {"legend": {"color": "independent"}},
        "title": {
            "text": "ROC",
            "subtitle": f"The winner is chosen by {report['chosen_by']} in cross-validation",
        },
    }


def all_candidates(table: pd.DataFrame, report: Report) -> Chart:
    """Return the panel of all candidates; the winner's curve is thick, blue and labelled."""
    areas = {name: metrics["roc_auc"] for name, metrics in report["validation"].items()}
    names = sorted(areas, key=lambda name: -areas[name])
    legend = {name: f"{name}, AUC {areas[name]:.4f}" for name in names}
    others = iter(OTHERS * len(names))
    colours = [WINNER if name == report["winner"] else next(others) for name in names]
    colour = {
        "field": "curve",
        "type": "nominal",
        "scale": {"domain": list(legend.values()), "range": colours},
        "legend": {"title": None, "orient": "bottom-right", "fillColor": "white", "padding": 6},
    }
    table = table.assign(curve=table["candidate"].map(legend))
    won = table["candidate"] == report["winner"]
    curves = [
        {
            "data": values(rows),
            "mark": {"type": "line", "strokeWidth": width},
            "encoding": AXES | {"color": colour},
        }
        for rows, width in ((table[~won], 1.5), (table[won], 4))
    ]
    name = name_on_curve(table[won], f"{report['winner']} (winner)")
    layers = [*CHANCE, *curves, name]
    return SIZE | {"title": "All candidates, on the validation rows", "layer": layers}


def winner(table: pd.DataFrame, report: Report) -> Chart:
    """Return the panel of the winner on test rows."""
    area = report["test"]["roc_auc"]
    curve = {
        "data": values(table),
        "mark": {"type": "line", "strokeWidth": 4, "color": WINNER},
        "encoding": AXES,
    }
    name = name_on_curve(table, f"{report['winner']}, AUC {area['value']:.4f}")
    interval = f"95 % interval of the AUC: {area['low']:.4f} to {area['high']:.4f}"
    return SIZE | {
        "title": {"text": "The winner, on the test rows", "subtitle": interval},
        "layer": [*CHANCE, curve, name],
    }


def name_on_curve(curve: pd.DataFrame, text: str) -> Chart:
    """Return a text beside a curve, at a height where it does not cross the diagonal."""
    place = curve.iloc[int((curve[Y] - 0.62).abs().to_numpy().argmin())]
    return label(float(place[X]) + 0.05, 0.62, text, color=WINNER, fontWeight="bold")
