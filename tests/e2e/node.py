"""GitHub's own JavaScript packages, for the tests that check and run workflows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, missing, tool

HERE = ROOT / "tests/workflows"


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner with GitHub's packages."""
    tool("node")
    folder = tmp_path_factory.mktemp("runner") / "workflows"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("node_modules"))
    install = [tool("npm"), "install", "--silent", "--no-package-lock", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"GitHub's packages from npm ({done.stderr.strip()[-300:]})")
    return folder
