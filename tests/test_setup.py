"""`make` sets up the environment: what it needs, what it says, and where it stops."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.books import ROOT

TOOLS = ("bash", "sh", "make", "test", "grep", "sed", "uname", "touch", "awk", "mkdir", "echo")
FAILING_UV = """#!/bin/sh
[ "$1" = venv ] && exit 0
echo "Resolved 2 packages"
echo " + numpy==1.0"
echo "error: no such hash"
exit 2
"""
OTHER_PYTHON = """#!/bin/sh
exit 1
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with all that `make` needs but uv and Python 3.11."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        path = shutil.which(name)
        assert path
        (folder / name).symlink_to(path)
    (folder / "ldconfig").write_text("#!/bin/sh\necho libgomp.so.1\n")
    (folder / "ldconfig").chmod(0o755)
    return folder


def set_up(programs: Path) -> subprocess.CompletedProcess[str]:
    """Make the environment of another folder with these programs alone."""
    venv = programs.parent / "venv"
    venv.mkdir()
    done = subprocess.run(
        [str(programs / "make"), f"VENV={venv}", f"{venv}/.ready"],
        cwd=ROOT,
        env={"PATH": str(programs), "HOME": str(programs.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert not (venv / ".ready").exists()
    return done


def write(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)


def test_without_python_and_uv_one_line_says_what_to_do(programs: Path) -> None:
    errors = set_up(programs).stderr.splitlines()
    assert errors[0].startswith("Python 3.11 is needed: sudo apt-get install python3.11-venv, or ")
    assert [line for line in errors[1:] if not line.startswith("make: ***")] == []


def test_another_version_under_the_name_of_python_is_none(programs: Path) -> None:
    write(programs / "python3.11", OTHER_PYTHON)
    assert set_up(programs).stderr.startswith("Python 3.11 is needed: ")


def test_an_install_that_fails_ends_the_set_up_and_lists_no_packages(programs: Path) -> None:
    write(programs / "uv", FAILING_UV)
    errors = set_up(programs).stderr
    assert "Resolved 2 packages\nerror: no such hash\n" in errors
    assert "numpy" not in errors


def test_the_tests_of_a_file_are_run_by_one_worker(request: pytest.FixtureRequest) -> None:
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    assert not parallel or request.node.nodeid.endswith("@test_setup.py")
