from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml

from stages import summary
from stages.judging import evaluation

ROOT = Path(__file__).parents[3]

METRICS = json.loads((Path(__file__).parents[3] / "models" / "evaluation.json").read_text())


def test_the_table_names_the_winner_and_each_figure_with_its_interval() -> None:
    text = summary.table(METRICS)
    assert METRICS["winner"] in text.splitlines()[0]
    assert f"{METRICS['test']['roc_auc']['low']:.4f} to" in text


@pytest.mark.parametrize(("metric", "is_best_first"), [("roc_auc", True), ("brier", False)])
def test_candidates_stand_with_what_chose_among_them_the_best_first(
    metric: str, is_best_first: bool
) -> None:
    second = summary.table({**METRICS, "chosen_by": metric}).splitlines()[1]
    named = {part.split()[0]: float(part.split()[1]) for part in second.split("·")}
    assert named == {n: round(choice["value"], 4) for n, choice in METRICS["choice"].items()}
    assert list(named.values()) == sorted(named.values(), reverse=is_best_first)


def test_the_headline_figures_fit_a_line_of_120_characters() -> None:
    figures = evaluation.headlines(METRICS)
    cells = [
        ("Path", "models/metrics.json"),
        *((name, str(figure)) for name, figure in figures.items()),
    ]
    # DVC puts two spaces between columns, and makes each two wider than its heading.
    widths = [max(len(name) + 2, len(value)) for name, value in cells]
    assert sum(widths) + 2 * (len(widths) - 1) <= 122  # with two spaces at the end


def test_an_undefined_figure_is_a_dash() -> None:
    assert summary.number(None) == "-"


def test_figures_that_are_not_there_are_told_with_what_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"models/evaluation\.json not found: .*`dvc repro`"):
        summary.main()
    summary.EVALUATION.parent.mkdir()
    summary.EVALUATION.write_text("{")
    with pytest.raises(SystemExit, match=r"models/evaluation\.json is no JSON .* dvc repro"):
        summary.main()


@pytest.mark.parametrize("active", [True, False])
def test_the_environment_is_activated_before_the_first_command_that_needs_it(
    active: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    if active:
        monkeypatch.setenv("VIRTUAL_ENV", ".venv")
    summary.main()
    output = capsys.readouterr().out
    activation = output.find(". .venv/bin/activate")
    assert activation == -1 if active else -1 < activation < output.index("dvc exp run")


def test_what_to_try_next_is_of_this_project(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    summary.main()
    output = capsys.readouterr().out
    parameters = re.findall(r"-S ([\w.]+)=", output)
    modules = re.findall(r"python -m ([\w.]+)", output)
    targets = re.findall(r"^  make (\w+)", output, re.MULTILINE)
    assert parameters
    assert modules
    for name in parameters:
        section = yaml.safe_load((ROOT / "params.yaml").read_text())
        for key in name.split("."):
            section = section[key]
    assert all(importlib.util.find_spec(module) for module in modules)
    assert all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in targets)
