"""Score the rows of the predictions again, with the artifact that would be released.

The artifact is loaded by a process of its own, with the code of the change: what a change brings is
never executed in the process that judges it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from release.gate.checks import Finding
from release.gate.predictions import Predictions
from release.revisions import CannotJudge

WINNER = Path("models/winner.json")
SPLITS = ("validation", "test")
SECONDS = 900
SCORE = """
import sys
from pathlib import Path
import numpy as np
from stages import params
from stages.contract import prepared
from stages.models import model_file
model, config = model_file.read(Path(sys.argv[1])), params.load()
for split in sys.argv[3:]:
    table = prepared.read(config.data / "prepared" / f"{split}.parquet")
    columns = prepared.columns(table, model.contract.inputs(config.mode))
    scored = model.predict(columns), table.column("_row").to_numpy()
    np.savez(Path(sys.argv[2]) / split, pd=scored[0], row=scored[1])
"""


def score(
    splits: tuple[str, ...] = SPLITS,
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return the row numbers and PDs that the artifact gives the prepared rows of each split."""
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as folder:
        command = [sys.executable, "-c", SCORE, str(WINNER), folder, *splits]
        environment = {**os.environ, "PYTHONPATH": "."}
        environment.pop("PYTHONSAFEPATH", None)
        try:
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CannotJudge(f"{WINNER} did not score its rows in {SECONDS} s") from None
        if done.returncode:
            words = " ".join(done.stderr.strip().splitlines()[-1:])
            raise CannotJudge(f"{WINNER} cannot score the prepared rows: {words}")
        found = {}
        for split in splits:
            with np.load(Path(folder) / f"{split}.npz") as arrays:
                found[split] = (arrays["row"].astype(np.int64), arrays["pd"])
        return found


def compared(table: Predictions) -> Iterator[Finding]:
    """Compare every PD with that of the artifact, bit for bit."""
    wrong = []
    for split, (row, pd) in score().items():
        rows = table.split(split)
        if not np.array_equal(rows["row"].to_numpy(np.int64), row):
            wrong.append(f"the {split} rows are not those of the prepared data")
        elif count := int((rows["pd"].to_numpy(np.float64) != pd).sum()):
            wrong.append(f"{count:,} PDs of {split} rows differ")
    if wrong:
        words = f"{WINNER} does not give the PDs of the predictions: {'; '.join(wrong)}"
        yield Finding("rescoring", "fail", f"{words}; run `dvc repro --force` and commit")
    else:
        yield Finding("rescoring", "pass", f"{WINNER} gives every PD of the predictions again")
