"""The project as an installed package."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path


def test_the_metadata_is_complete() -> None:
    about = metadata("credit-pd")
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Summary"]
    needed = about.get_all("Requires-Dist") or []
    assert {"dvc", "scikit-learn", "bentoml==1.4.39"} <= set(needed)


def test_the_packages_can_be_imported_from_any_folder(tmp_path: Path) -> None:
    code = "import stages, service, release; print(stages.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("stages/__init__.py")
