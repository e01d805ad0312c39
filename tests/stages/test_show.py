from __future__ import annotations

import json
from pathlib import Path

from stages import show

METRICS = json.loads((Path(__file__).parents[2] / "models" / "evaluation.json").read_text())


def test_the_table_names_the_winner_and_each_figure_with_its_interval() -> None:
    text = show.table(METRICS)
    assert METRICS["winner"] in text.splitlines()[0]
    assert f"{METRICS['test']['roc_auc']['low']:.4f} to" in text


def test_candidates_stand_in_the_order_of_their_auc() -> None:
    second = show.table(METRICS).splitlines()[1]
    figures = [float(part.split()[1]) for part in second.split("·")]
    assert figures == sorted(figures, reverse=True)


def test_an_undefined_figure_is_a_dash() -> None:
    assert show.number(None) == "-"
