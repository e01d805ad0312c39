"""Train the candidates again beside another test part: what was fitted must not change by it.

The test part of the copy holds training rows, and the raw tables are not there. A candidate of
other bytes has read what it is judged on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from release.gate import parameters
from release.gate.checks import Finding
from release.gate.parameters import JudgedParameters
from release.revisions import CannotJudge

CHECK = "blind training"
RESULT = "blind.json"
CANDIDATES = Path("models/candidates")
NEEDED = ("params.yaml", "stages", "models/search")
SECONDS = 1800


def save(folder: Path) -> str:
    """Write which candidates are other ones beside another test part."""
    config, _ = parameters.read()
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as made:
        copy_project(config, Path(made))
        run(Path(made), "stages.featurize")
        for name in config.candidates:
            run(Path(made), "stages.train", name)
        differing = [name for name in config.candidates if differs(name, Path(made))]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"candidates": config.candidates, "differing": differing})
    (folder / RESULT).write_text(text)
    return f"trained {len(config.candidates)} candidates beside another test part"


def copy_project(config: JudgedParameters, target: Path) -> None:
    """Copy what the candidates are made of, with training rows in the place of the test rows."""
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in NEEDED:
        source = Path(name)
        (target / source).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target / source, ignore=unwanted)
        elif source.is_file():
            shutil.copyfile(source, target / source)
    data = target / config.data
    shutil.copytree(config.data / "prepared", data / "prepared")
    shutil.copyfile(config.data / "contract.yaml", data / "contract.yaml")
    train, test = (data / "prepared" / f"{name}.parquet" for name in ("train", "test"))
    rows = pq.read_table(train)
    taken = np.arange(pq.read_metadata(test).num_rows) % rows.num_rows
    pq.write_table(rows.take(taken), test)


def run(folder: Path, *words: str) -> None:
    """Run a module of the copy; CannotJudge where it fails."""
    command = [sys.executable, "-P", "-m", *words]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    try:
        subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.strip().splitlines()[-1:])
        raise CannotJudge(f"{words[-1]} failed beside another test part: {said}") from None
    except subprocess.TimeoutExpired:
        raise CannotJudge(f"{words[-1]} did not end in {SECONDS} s") from None


def differs(candidate: str, copy: Path) -> bool:
    """Return whether a candidate has other bytes in the copy, or is not there."""
    path = CANDIDATES / f"{candidate}.joblib"
    return not (copy / path).is_file() or (copy / path).read_bytes() != path.read_bytes()


def compare(folder: Path | None) -> Iterator[Finding]:
    """Fail where a candidate changed with the test part."""
    if folder is None:
        words = "nothing was trained again (no --reproduced): for local use only"
        yield Finding(CHECK, "note", words)
        return
    try:
        found = json.loads((folder / RESULT).read_text())["differing"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotJudge(f"training beside another test part failed: {error!r}") from None
    if found:
        words = f"{', '.join(map(str, found))} changed with the test part, which it must not read"
        yield Finding(CHECK, "fail", words)
    else:
        yield Finding(CHECK, "pass", "no candidate changes with the test part")
