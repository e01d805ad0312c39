"""Getting the raw tables: what cannot be got ends with one message that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stages import fetch
from tests.support.books import ROOT, Project, book, settings


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def message() -> str:
    """How the command ends."""
    with pytest.raises(SystemExit) as caught:
        fetch.main()
    return str(caught.value)


def test_tables_that_are_there_are_left_alone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write(book(50))
    fetch.main()
    assert capsys.readouterr().out == "data/small/raw: there already\n"


def test_tables_that_nobody_has_are_named(project: Project) -> None:
    assert message().endswith("tables of data/small/contract.yaml: loans.csv, people.csv")


def test_an_unknown_dataset_is_named_with_the_nearest(project: Project) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(settings(dataset="smal")))
    assert "; did you mean 'small'?\nWhere `dvc exp run -S` wrote it, this goes back" in message()


def test_outside_of_the_project_is_told_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message() == "params.yaml not found: run this command in the project's folder"


def test_a_simulation_that_fails_ends_with_its_command() -> None:
    with pytest.raises(SystemExit, match=r"python -m stages.simulate --rows 0 failed"):
        fetch.run("stages.simulate", "--rows", "0")


def test_the_book_with_histories_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "loan_history"
    folder.mkdir(parents=True)
    (folder / "contract.yaml").write_bytes(
        (ROOT / "data" / "loan_history" / "contract.yaml").read_bytes()
    )
    written = settings(dataset="loan_history", simulate__rows=20)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(written))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    fetch.main()
    assert len((folder / "raw" / "loans.csv").read_text().splitlines()) >= 21
