"""Charts that GitHub draws in a comment and in a job's summary, by Mermaid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from release.gate import predictions
from release.gate.judgement import Judgement
from release.report.markdown import details
from stages.judging.evaluation import Judged
from stages.metrics import curves
from stages.metrics.ranked_rows import Floats

GREY, BLUE, RED = "#8c959f", "#0969da", "#cf222e"
SHARES = np.linspace(0, 1, 41)  # of goods flagged, at which a ROC curve is drawn
TENTHS = 10
BANDS = (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)  # of the PD


class Series(NamedTuple):
    """Values by their place on the x-axis, drawn as lines or bars of one colour."""

    shape: Literal["line", "bar"]
    colour: str
    values: Sequence[float] | Floats


def section(judgement: Judgement) -> str:
    """Return the charts of discrimination, calibration and PDs; nothing without predictions."""
    both = judgement.paired
    if both and both.rows:
        base, head = both.champion, both.challenger
    elif judgement.predictions:
        base, head = None, predictions.judge_rows(judgement.predictions.split("test"))
    else:
        return ""
    if len(set(head.bad.tolist())) < 2:
        return ""
    drawn = (roc(base, head), reliability(head), pd_bands(base, head))
    return details("Plots: ROC, calibration, PDs", "\n\n".join(drawn))


def roc(base: Judged | None, head: Judged) -> str:
    """Return the ROC curves: the share of bads found at each share of goods flagged."""
    series = [
        Series("line", colour, 100 * _found_bads(side))
        for side, colour in ((base, GREY), (head, BLUE))
        if side
    ]
    title = f"ROC, % of bads found ({sides(base)}, red: by chance)"
    return draw(title, '"goods flagged, %" 0 --> 100', [*series, Series("line", RED, 100 * SHARES)])


def _found_bads(side: Judged) -> Floats:
    curve = curves.roc(side.bad, side.pd, points=10 * len(SHARES))
    return np.interp(SHARES, curve["false_positive_rate"], curve["true_positive_rate"])


def reliability(head: Judged) -> str:
    """Return bad rate and mean PD of the head's bins of equal frequency."""
    bins = curves.reliability(head.bad, head.pd, TENTHS)
    axis = categories(f"{number}" for number in range(1, len(bins["rows"]) + 1))
    series = [
        Series("bar", BLUE, 100 * bins["bad_rate"]),
        Series("line", RED, 100 * bins["mean_pd"]),
    ]
    return draw("Calibration by tenths of the PD, %: bad rate (bars), mean PD (line)", axis, series)


def pd_bands(base: Judged | None, head: Judged) -> str:
    """Return the share of applications in each band of the PD."""
    edges = [f"{100 * low:g}-{100 * high:g}" for low, high in pairwise(BANDS)]
    series = [Series("bar", BLUE, _shares_of_bands(head))]
    if base:
        series.append(Series("line", GREY, _shares_of_bands(base)))
    return draw(f"Applications, %, by PD in % ({sides(base)})", categories(edges), series)


def _shares_of_bands(side: Judged) -> Floats:
    return 100 * np.histogram(side.pd, BANDS)[0] / len(side.pd)


def sides(base: Judged | None) -> str:
    """Return which colour is whose."""
    return "grey: base, blue: head" if base else "blue: head"


def draw(title: str, x_axis: str, series: Sequence[Series]) -> str:
    """Return a chart of series that share an x-axis, in Mermaid's words."""
    top = max(max(each.values) for each in series)
    palette = ", ".join(each.colour for each in series)
    look = f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%'
    lines = [f"    {s.shape} [{', '.join(f'{v:.2f}' for v in s.values)}]" for s in series]
    head = ["```mermaid", look, "xychart-beta", f'    title "{title}"', f"    x-axis {x_axis}"]
    return "\n".join([*head, f"    y-axis 0 --> {top:.2f}", *lines, "```"])


def categories(names: Iterable[str]) -> str:
    """Return an x-axis of names."""
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
