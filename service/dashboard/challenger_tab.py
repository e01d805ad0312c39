"""The tab about a challenger in shadow: its scores beside the champion's decisions."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from service.dashboard import cached
from service.decision.hashes import NotReady
from service.shadow.pairs import NotComparable
from stages.replay import table

PERCENTAGES = dict.fromkeys(
    ("bad rate", "low", "high", "mean PD"), st.column_config.NumberColumn(format="percent")
)


def challenger(url: str) -> None:
    """Show how a challenger would have decided, once a person asks for it."""
    st.caption("A challenger scores every recorded decision beside the champion; it decides none.")
    if not st.toggle("Compare the challengers with the champion"):
        return
    try:
        contents = cached.compare_challengers(url)
    except (NotComparable, NotReady) as error:
        st.info(str(error))
        return
    named = {f"{c['challenger']['model']}, policy {c['challenger']['policy']}": c for c in contents}
    content = named[st.selectbox("Challenger, the newest first", named)]
    st.markdown(
        f"Challenger `{content['challenger']['model']}` with policy "
        f"`{content['challenger']['policy']}`, champion `{content['champion']['model']}`."
    )
    mean = content["mean_pd"]
    facts = {
        "Decisions scored": f"{content['rows']:,}",
        "Waiting": f"{content['waiting']:,}",
        "Same decision": f"{content['agreement']['value']:.1%}",
        "Mean PD of the champion": f"{mean['champion']['value']:.2%}",
        "Mean PD of the challenger": f"{mean['challenger']['value']:.2%}",
    }
    for place, (title, value) in zip(st.columns(len(facts)), facts.items(), strict=True):
        place.metric(title, value)
    st.header("Swap set")
    st.dataframe(pd.DataFrame(swaps_of(content)), hide_index=True, column_config=PERCENTAGES)
    st.header("Figures of both")
    st.dataframe(pd.DataFrame(figures_of(content)), hide_index=True)


def swaps_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each part of the swap set, with the interval of its bad rate."""
    return [
        {
            "applications": name.replace("_", " "),
            "decisions": part["rows"],
            "bad rate": part["bad_rate"]["value"],
            "low": part["bad_rate"]["low"],
            "high": part["bad_rate"]["high"],
            "mean PD": part["mean_pd"],
        }
        for name, part in content["swaps"].items()
    ]


def figures_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each figure of champion and challenger."""
    return [
        {
            "figure": table.title(name),
            "champion": figure["present"]["value"],
            "challenger": figure["proposed"]["value"],
            "difference": figure["difference"]["value"],
            "low": figure["difference"]["low"],
            "high": figure["difference"]["high"],
        }
        for name, figure in content["figures"].items()
    ]
