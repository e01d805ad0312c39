"""The charts of the dashboard that Streamlit does not have ready."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from service import history

REFERENCE = Path("models/reference.json")
PAIR: list[Any] = ["#9aa5b1", "#2563a8"]  # reference, live


def bars(place: Any, rows: history.Rows, name: str) -> None:
    """Decisions by one label."""
    table = pd.DataFrame(rows).astype({name: str})
    place.bar_chart(table, x=name, y="decisions", sort=False, color=PAIR[1], height=260)


def compared(name: str, features: dict[str, Any]) -> None:
    """The live shares of a feature beside those of the training data."""
    if not REFERENCE.exists():
        st.info(f"{REFERENCE} is missing: run the pipeline to see the reference.")
        return
    reference = json.loads(REFERENCE.read_text())
    own = reference["score"] if name == "score" else reference["features"].get(name)
    live = features[name]["shares"]
    if own is None or len(own["shares"]) != len(live):
        st.info("The report is of another model than the reference here.")
        return
    shares = {"bin": labels(own), "training": own["shares"], "live": live}
    bars_of = ["training", "live"]
    st.bar_chart(
        pd.DataFrame(shares), x="bin", y=bars_of, color=PAIR, stack=False, sort=False, x_label=name
    )


def labels(reference: dict[str, Any]) -> list[str]:
    """Names of a reference's bins, in their order."""
    if reference["kind"] == "category":
        return list(map(str, reference["categories"]))
    edges = [f"{edge:,.4g}" if abs(edge) < 1e4 else f"{edge:,.0f}" for edge in reference["edges"]]
    if not edges:
        return ["all"]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}", *between, f"from {edges[-1]}"]


def band(table: pd.DataFrame, name: str) -> Any:
    """A figure over time within its interval."""
    base = alt.Chart(table).encode(x=alt.X("time:T", title=None))
    scale = alt.Scale(zero=False)
    between = base.mark_area(opacity=0.25, color=PAIR[1])
    line = base.mark_line(point=True, color=PAIR[1])
    return between.encode(y=alt.Y("low:Q", scale=scale, title=name), y2="high:Q") + line.encode(
        y=alt.Y("value:Q", scale=scale, title=name)
    )
