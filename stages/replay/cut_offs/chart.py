"""Draw the frontier of cut-offs as an SVG file that opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import vl_convert
from numpy.typing import NDArray

from stages import files
from stages.features.matrix import Floats
from stages.replay.cut_offs.frontier import Choice, Sweep

VEGA_LITE = "5.21"
POINTS = 400
LINE, CHOSEN = "#0b5fa5", "#c1440e"


def draw(swept: Sweep, choice: Choice, path: Path) -> None:
    """Write the efficient cut-offs with the chosen one: bad rate and profit by approval rate."""
    files.write_text(path, vl_convert.vegalite_to_svg(specify(swept, choice), vl_version=VEGA_LITE))


def specify(swept: Sweep, choice: Choice) -> dict[str, Any]:
    """Return the chart in Vega-Lite, with at most POINTS cut-offs."""
    efficient = np.flatnonzero(swept.is_efficient)
    some = efficient[np.unique(np.linspace(0, len(efficient) - 1, POINTS).astype(int))]
    panels = [
        panel(swept, some, choice.place, "bad_rate", swept.bad_rate, "Bad rate among the approved"),
        panel(
            swept, some, choice.place, "profit", swept.aims["profit"], "Profit per unit asked for"
        ),
    ]
    return {"background": "white", "config": {"font": "sans-serif"}, "hconcat": panels}


def panel(
    swept: Sweep, some: NDArray[np.int64], chosen: int, name: str, values: Floats, title: str
) -> dict[str, Any]:
    """Return one panel: a figure by the approval rate."""

    def point(place: int) -> dict[str, float]:
        return {"approval_rate": float(swept.approval_rate[place]), name: float(values[place])}

    x = {"field": "approval_rate", "type": "quantitative", "title": "Approval rate"}
    y = {"field": name, "type": "quantitative", "title": title}
    line = {
        "data": {"values": [point(i) for i in some.tolist()]},
        "mark": {"type": "line", "color": LINE},
        "encoding": {"x": x, "y": y},
    }
    dot = {
        "data": {"values": [point(chosen)]},
        "mark": {"type": "point", "filled": True, "size": 90, "color": CHOSEN},
        "encoding": {"x": x, "y": y},
    }
    return {"width": 380, "height": 300, "layer": [line, dot]}
