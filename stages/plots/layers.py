"""The parts that charts are made of: Vega-Lite's encodings, layers and titles."""

from __future__ import annotations

from typing import Any

import pandas as pd

Chart = dict[str, Any]
Report = dict[str, Any]
WINNER, GOOD, BAD, GREY = "#0b5fa5", "#2a9d8f", "#c1440e", "#777777"
# The colours of the other candidates: any eye tells them and the winner's blue apart.
OTHERS = ("#e69f00", "#009e73", "#cc79a7", "#8c6d31", "#56b4e9", "#d55e00", "#999999", "#5e3c99")
SIZE = {"width": 420, "height": 360}
CONFIG = {
    "background": "white",
    "font": "sans-serif",
    "title": {"anchor": "start", "fontSize": 15, "subtitleFontSize": 12, "subtitleColor": "#444"},
    # The reader's font may be wider than the one that the chart is laid out with.
    "padding": {"left": 36, "right": 24, "top": 5, "bottom": 5},
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "gridColor": "#e6e6e6",
        "labelFlush": False,
        "labelSeparation": 10,
    },
    "legend": {"labelFontSize": 12, "titleFontSize": 12, "symbolStrokeWidth": 4, "labelLimit": 300},
    "view": {"stroke": "#cccccc"},
}


def with_config(chart: Chart) -> Chart:
    """Return a chart with the schema and the settings that all charts share."""
    return {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "config": CONFIG} | chart


def values(table: pd.DataFrame) -> Chart:
    """Return a table as the data of a chart."""
    return {"values": table.to_dict("records")}


def number(field: str, title: str, **scale: object) -> Chart:
    """Return the encoding of a column of numbers; `scale` are settings of its scale."""
    return {"field": field, "type": "quantitative", "title": title, "scale": scale}


def with_interval(report: Report, name: str) -> str:
    """Return a metric of the test rows and its 95 % interval as text."""
    value, low, high = (report["test"][name][part] for part in ("value", "low", "high"))
    return f"{value:.4f} (95 % interval {low:.4f} to {high:.4f})"


def title_of(text: str, report: Report, subtitle: str) -> Chart:
    """Return the title of a chart about the winner's test rows."""
    return {"text": text, "subtitle": [f"{report['winner']} on the test rows", subtitle]}


def line(data: list[Chart], x: str, y: str, **mark: object) -> Chart:
    """Return a layer with a line through the points of `data`, without titles of the axes."""
    return {
        "data": {"values": data},
        "mark": {"type": "line", **mark},
        "encoding": {
            "x": {"field": x, "type": "quantitative"},
            "y": {"field": y, "type": "quantitative"},
        },
    }


def diagonal(x: str, y: str, high: float = 1.0) -> Chart:
    """Return the dashed line on which both columns are equal, from 0 to `high`."""
    ends = [{x: end, y: end} for end in (0.0, high)]
    return line(ends, x, y, color=GREY, strokeDash=[5, 4], strokeWidth=1.5)


def label(x: float, y: float, text: str, **mark: object) -> Chart:
    """Return a layer with a text that begins at the point (x, y)."""
    return {
        "data": {"values": [{"x": x, "y": y}]},
        "mark": {"type": "text", "text": text, "fontSize": 13, "align": "left", **mark},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
        },
    }
