"""Commands run from any folder of the project, and from any other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.books import ROOT


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_command_finds_the_project_from_a_folder_within_it() -> None:
    done = run(ROOT / "docs", "stages.summary")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_finds_the_installed_project_from_a_folder_outside(tmp_path: Path) -> None:
    done = run(tmp_path, "stages.summary")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["book.csv", "./book.csv"])
def test_a_path_is_relative_to_where_the_command_was_started(tmp_path: Path, name: str) -> None:
    rows = "".join(f"{i},{i % 90 + 18},{i % 3 == 0:d}\n" for i in range(300))
    (tmp_path / "book.csv").write_text("loan_id,months,bad\n" + rows)
    words = ("stages.contract", "draft", name, "--target", "bad", "--out", "contract.yaml")
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "contract.yaml").exists()


@pytest.mark.parametrize("module", ["stages.train", "service.serve", "release.gate"])
def test_a_python_with_a_few_of_the_packages_is_no_environment(module: str, tmp_path: Path) -> None:
    for package in ("numpy", "pydantic", "yaml"):
        (tmp_path / f"{package}.py").touch()
    command = [sys.executable, "-S", "-m", module]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert re.fullmatch(r".* has no .*starlette: activate .*\n", done.stderr)


@pytest.mark.parametrize("module", ["stages.preprocess", "service.serve", "release.gate"])
def test_without_an_environment_a_command_says_how_to_activate_it(module: str) -> None:
    command = [sys.executable, "-S", "-m", module]  # -S leaves out what is installed
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(
        r".* has no numpy, no pydantic, .*: activate .*/activate\).*\n", done.stderr
    )
