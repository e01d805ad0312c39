from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from release import retrain
from tests.support.books import Project, book

DVC = (sys.executable, "-m", "dvc")
BETTER = {"champion": 0.80, "challenger": 0.82, "difference": 0.02, "low": 0.01, "high": 0.03}
WORSE = {"champion": 0.82, "challenger": 0.80, "difference": -0.02, "low": -0.03, "high": -0.01}
SAME = {"champion": 0.80, "challenger": 0.80, "difference": 0.0, "low": -0.01, "high": 0.01}


@pytest.fixture
def lender(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git and DVC repository with a small book; returns the folder of what arrives next."""
    monkeypatch.chdir(project.folder)
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "ada")
        monkeypatch.setenv(f"{name}_EMAIL", "ada@example.com")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    run("git", "init", "-q")
    run(*DVC, "init", "-q")
    run(*DVC, "add", "-q", "data/small/raw")
    run("git", "add", "params.yaml", "data", ".dvc")
    run("git", "commit", "-qm", "book")
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    for path in (project.folder / "data/small/raw").iterdir():
        (arriving / path.name).write_bytes(path.read_bytes())
    return arriving


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def decide(tmp_path: Path, figures: dict[str, Any], verdict: str = "pass") -> tuple[int, str]:
    """Exit status and the facts written for a judgement."""
    held = {"verdict": verdict, "sentence": "So it is.", "figures": figures}
    (tmp_path / "judgement.json").write_text(json.dumps(held))
    facts = tmp_path / "facts"
    words = ["decide", str(tmp_path / "judgement.json"), "--output", str(facts)]
    return retrain.main(words), facts.read_text() if facts.exists() else ""


def test_unchanged_tables_are_not_new(lender: Path, tmp_path: Path) -> None:
    assert retrain.main(["collect", str(lender), "--output", str(tmp_path / "facts")]) == 0
    assert (tmp_path / "facts").read_text() == "new=false\n"


def test_without_new_tables_the_summary_says_so_and_who_had_asked(
    lender: Path, tmp_path: Path
) -> None:
    summary = tmp_path / "summary"
    words = ["collect", str(lender), "--summary", str(summary), "--asked", "income <b>moved"]
    assert retrain.main(words) == 0
    text = summary.read_text()
    assert text.startswith(f"Nothing was trained: the tables at `{lender}` are those that main")
    assert "The monitor had asked for it (`income <b>moved`)" in text


def test_a_pull_request_that_could_not_be_opened_names_the_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = tmp_path / "summary"
    assert retrain.main(["unproposed", "--summary", str(summary)]) == 1
    setting = "Allow GitHub Actions to create and approve pull requests"
    assert setting in " ".join(summary.read_text().split())
    assert setting in capsys.readouterr().err


def test_new_tables_take_the_place_of_the_old_ones(lender: Path, tmp_path: Path) -> None:
    for name, table in book(700).items():
        table.to_csv(lender / f"{name}.csv", index=False)
    before = yaml.safe_load(Path("data/small/raw.dvc").read_text())
    assert retrain.main(["collect", str(lender), "--output", str(tmp_path / "facts")]) == 0
    assert (tmp_path / "facts").read_text() == "new=true\n"
    assert len(Path("data/small/raw/loans.csv").read_text().splitlines()) == 701
    assert yaml.safe_load(Path("data/small/raw.dvc").read_text()) != before


def test_files_that_the_new_tables_changed_are_committed(lender: Path) -> None:
    with (lender / "loans.csv").open("a") as file:
        file.write((lender / "loans.csv").read_text().splitlines()[-1] + "\n")
    retrain.main(["collect", str(lender)])
    assert retrain.main(["commit"]) == 0
    shown = run("git", "show", "--format=%s", "--name-only")
    assert shown == "Retrain on new data\n\ndata/small/raw.dvc\n"


def test_a_table_that_lost_rows_is_refused(
    lender: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (lender / "loans.csv").read_text().splitlines(keepends=True)
    (lender / "loans.csv").write_text("".join(lines[:300]))
    assert retrain.main(["collect", str(lender)]) == 1
    assert "loans.csv must not lose rows: it has 300 lines, before" in capsys.readouterr().err


def test_a_missing_table_is_refused_and_nothing_changes(
    lender: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lender / "people.csv").unlink()
    assert retrain.main(["collect", str(lender)]) == 1
    assert "people.csv" in capsys.readouterr().err
    assert run("git", "status", "--porcelain", "--untracked-files=no") == ""


@pytest.mark.parametrize(
    ("figures", "improved"),
    [
        ({"roc_auc": BETTER}, "true"),
        ({"roc_auc": SAME, "brier": WORSE}, "true"),
        ({"roc_auc": SAME, "brier": SAME}, "false"),
        ({"roc_auc": WORSE}, "false"),
        ({"mean_pd": BETTER}, "false"),
        ({"roc_auc": SAME | {"low": None}}, "false"),
        ({}, "true"),
    ],
)
def test_improved_means_that_a_whole_interval_is_better(
    tmp_path: Path, figures: dict[str, Any], improved: str
) -> None:
    assert decide(tmp_path, figures) == (0, f"improved={improved}\n")


def test_a_challenger_that_fails_the_gate_is_not_improved(tmp_path: Path) -> None:
    assert decide(tmp_path, {"roc_auc": BETTER}, "fail") == (0, "improved=false\n")


def test_a_challenger_that_the_gate_cannot_judge_is_an_error(tmp_path: Path) -> None:
    assert decide(tmp_path, {"roc_auc": BETTER}, "cannot judge") == (1, "")


def test_a_judgement_that_was_not_written_is_an_error(tmp_path: Path) -> None:
    assert retrain.main(["decide", str(tmp_path / "none.json")]) == 1
