"""`python -m stages.plots`: SVG files and a page that open without a network."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from stages.plots import __main__ as command
from stages.plots import page, probabilities, roc
from stages.plots.layers import WINNER
from tests.support.books import CANDIDATES, Project

NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small book, judged and drawn."""
    folder = tmp_path_factory.mktemp("drawn")
    shutil.copytree(fitted_book.folder, folder, dirs_exist_ok=True)
    project = Project(folder).run("evaluate")
    with contextlib.chdir(folder):
        command.main()
    return project


def report(project: Project) -> dict[str, Any]:
    return dict(json.loads((project.folder / "models/evaluation.json").read_text()))


def svg(project: Project, name: str) -> str:
    return (project.folder / "build/plots" / f"{name}.svg").read_text()


def words(project: Project, name: str) -> list[str]:
    root = ElementTree.fromstring(svg(project, name))  # noqa: S314  (our own file)
    return [text.text or "" for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", command.CHARTS)
def test_a_plot_is_an_svg_that_loads_nothing(name: str, drawn: Project) -> None:
    text = svg(drawn, name)
    assert set(re.findall(r"https?://[^\"' )<]+", text)) <= NAMESPACES
    assert "<script" not in text
    assert "<image" not in text
    assert words(drawn, name)


def test_every_table_of_the_plots_is_drawn(drawn: Project) -> None:
    tables = {path.stem for path in (drawn.folder / "models/plots").iterdir()}
    assert tables == {*command.CHARTS, "roc_candidates"}


def test_the_page_shows_every_plot_and_loads_nothing_else(drawn: Project) -> None:
    text = (drawn.folder / "build/plots/index.html").read_text()
    assert re.findall(r'src="(.*?)"', text) == [f"{name}.svg" for name in page.CAPTIONS]
    assert set(page.CAPTIONS) == set(command.CHARTS)
    assert "http" not in text
    assert "<script" not in text


def test_the_legend_of_the_roc_has_the_published_auc_of_every_candidate(drawn: Project) -> None:
    facts = report(drawn)
    shown = words(drawn, "roc")
    for name in CANDIDATES:
        assert f"{name}, AUC {facts['validation'][name]['roc_auc']:.4f}" in shown
    value = facts["test"]["roc_auc"]["value"]
    assert f"{facts['winner']}, AUC {value:.4f}" in shown


def test_the_roc_says_which_rows_it_is_of_and_names_the_winner(drawn: Project) -> None:
    shown = words(drawn, "roc")
    assert "All candidates, on the validation rows" in shown
    assert "The winner, on the test rows" in shown
    assert f"{report(drawn)['winner']} (winner)" in shown


def test_the_curve_of_the_winner_is_thicker_and_of_another_colour(drawn: Project) -> None:
    text = svg(drawn, "roc")
    curves = re.findall(r'<path [^>]*stroke="(#\w+)" stroke-width="([\d.]+)"', text)
    assert (WINNER, "4") in curves
    others = {colour for colour, width in curves if width == "1.5" and colour != "#777777"}
    assert len(others - {WINNER}) == len(CANDIDATES) - 1


def test_the_curves_of_the_candidates_have_the_published_areas(drawn: Project) -> None:
    table = pd.read_csv(drawn.folder / "models/plots/roc_candidates.csv")
    assert table["candidate"].unique().tolist() == list(CANDIDATES)
    for name, curve in table.groupby("candidate"):
        heights, widths = curve["true_positive_rate"], curve["false_positive_rate"].diff()
        area = float((widths * (heights + heights.shift()) / 2).sum())
        published = report(drawn)["validation"][name]["roc_auc"]
        assert area == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize("name", command.CHARTS)
def test_a_line_of_a_title_is_short_enough_for_a_wider_font(name: str, drawn: Project) -> None:
    assert max(map(len, words(drawn, name))) <= 60


def test_what_is_not_there_ends_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"models/evaluation\.json not found: .*`dvc repro`"):
        command.main()


def stated(names: dict[str, float], winner: str) -> dict[str, Any]:
    figure = {"value": 0.8, "low": 0.7, "high": 0.9}
    return {
        "winner": winner,
        "chosen_by": "roc_auc",
        "validation": {name: {"roc_auc": area} for name, area in names.items()},
        "test": {"roc_auc": figure, "ece": figure},
        "cut_offs": {"cut_off": 0.1},
    }


def test_the_legend_of_the_roc_begins_with_the_largest_area() -> None:
    rows = {roc.X: [0.0, 0.4, 1.0], roc.Y: [0.0, 0.7, 1.0], "candidate": ["a", "b", "c"]}
    areas = {"a": 0.7, "b": 0.9, "c": 0.8}
    chart = roc.all_candidates(pd.DataFrame(rows), stated(areas, "b"))
    colours = [
        layer["encoding"]["color"] for layer in chart["layer"] if "color" in layer["encoding"]
    ]
    names = ["b, AUC 0.9000", "c, AUC 0.8000", "a, AUC 0.7000"]
    assert [colour["scale"]["domain"] for colour in colours] == [names, names]
    assert colours[0]["scale"]["range"][0] == WINNER
    assert len(set(colours[0]["scale"]["range"])) == 3


def test_the_name_of_a_curve_stands_right_of_it() -> None:
    curve = pd.DataFrame({roc.X: [0.0, 0.1, 0.3, 1.0], roc.Y: [0.0, 0.4, 0.63, 1.0]})
    name = roc.name_on_curve(curve, "model")
    place = name["data"]["values"][0]
    assert 0.3 < place["x"] < 0.45
    assert 0.5 < place["y"] < 0.7


def test_the_diagonal_of_the_calibration_reaches_the_largest_rate_on_its_axes() -> None:
    table = pd.DataFrame({"mean_pd": [0.01, 0.2], "bad_rate": [0.02, 0.35]})
    equal, points = probabilities.calibration(table, stated({"a": 0.8}, "a"))["layer"]
    ends = {value for row in equal["data"]["values"] for value in row.values()}
    assert max(ends) == 0.35
    assert equal["encoding"] == points["encoding"]


def test_a_bar_of_no_loans_is_not_drawn_and_the_others_begin_at_the_floor_of_the_axis() -> None:
    table = pd.DataFrame({"low": [0.0, 0.1], "high": [0.1, 0.2], "good": [9, 0], "bad": [1, 2]})
    chart = probabilities.scores(table, stated({"a": 0.8}, "a"))
    rows = chart["data"]["values"]
    assert sorted((row["outcome"], row["low"], row["loans"]) for row in rows) == [
        ("bad", 0.0, 1),
        ("bad", 0.1, 2),
        ("good", 0.0, 9),
    ]
    encoding = chart["encoding"]
    floor = encoding["y2"]["field"]
    assert {row[floor] for row in rows} == {encoding["y"]["scale"]["domainMin"]} == {0.5}
