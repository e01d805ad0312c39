"""Draw the plots of the judged winner into build/plots: `python -m stages.plots`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import vl_convert

from stages import files, project
from stages.plots import layers, page, probabilities, ranking, roc
from stages.plots.layers import Chart, Report

DATA = Path("models/plots")
EVALUATION = Path("models/evaluation.json")
TARGET = Path("build/plots")
VEGA_LITE = "5.21"
# The function that draws each table of models/plots.
CHARTS: dict[str, Callable[[pd.DataFrame, Report], Chart]] = {
    "roc": roc.draw,
    "precision_recall": ranking.precision_recall,
    "ks": ranking.ks,
    "candidates": ranking.candidates,
    "calibration": probabilities.calibration,
    "scores": probabilities.scores,
    "importance": probabilities.importance,
    "vintages": probabilities.vintages,
    "origins": ranking.origins,
    "confusion": probabilities.confusion,
}


def main() -> None:
    """Write one SVG file per chart, and the page that shows them."""
    try:
        report = json.loads(EVALUATION.read_text())
        tables = {name: pd.read_csv(DATA / f"{name}.csv") for name in CHARTS}
        candidates = pd.read_csv(DATA / "roc_candidates.csv")
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} not found: make it with `dvc repro`, or get it with `dvc pull`")
    with files.whole_folder(TARGET) as folder:
        for name, draw in CHARTS.items():
            table = pd.concat([tables[name], candidates]) if name == "roc" else tables[name]
            chart = layers.with_config(draw(table, report))
            svg = vl_convert.vegalite_to_svg(chart, vl_version=VEGA_LITE)
            (folder / f"{name}.svg").write_text(svg)
        (folder / "index.html").write_text(page.html(report))
    print(f"Wrote {len(CHARTS)} plots; open {(TARGET / 'index.html').absolute()}")


if __name__ == "__main__":
    project.enter()
    main()
