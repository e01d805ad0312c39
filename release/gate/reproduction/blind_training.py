"""Train the candidates again where there are training rows alone: the winner must be the same.

The test part of the copy holds training rows, and its programs see neither the raw tables, DVC's
cache, git's history nor a network. A winner that is another one has read what it is judged on.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from release.gate import parameters
from release.gate.checks import Finding
from release.gate.judgement import Judgement
from release.gate.parameters import JudgedParameters
from release.gate.reproduction import outputs, programs
from release.gate.reproduction.rescoring import JUDGED, WINNER
from release.revisions import CannotJudge

CHECK = "blind training"
NEEDED = ("params.yaml", "stages", "requirements")
SECONDS = 3600
WRITE = """
import json
from stages import evaluate, params
from stages.models import model_file
models, written = evaluate.read_candidates(params.load())[0], {}
for name, model in models.items():
    try:
        written[name] = model_file.text(model)
    except TypeError:  # a model that cannot be written cannot win
        pass
print(json.dumps(written))
"""


def save(folder: Path) -> str:
    """Write the model file of each candidate as it is without the test part."""
    config, _ = parameters.read()
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as made:
        written = train(config, Path(made))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (folder / f"{Path(name).name}.json").write_text(text)
    return f"trained {', '.join(written)} without the test part"


def train(config: JudgedParameters, copy: Path) -> dict[str, str]:
    """Return the content of each candidate's model file, trained in a copy of the project."""
    copy_project(config, copy)
    before = programs.alone(copy)
    run = partial(programs.run, code=copy, folder=copy, seconds=SECONDS, before=before)
    run(["-m", "stages.featurize"], what="featurize without the test part")
    for verb in ("search", "train"):
        for name in config.candidates:
            run(["-m", f"stages.{verb}", name], what=f"{verb} {name} without the test part")
    printed = run(["-c", WRITE], what="writing the models without the test part")
    # What it printed, and no files: one could be a link to what the program itself cannot see.
    texts: dict[str, str] = json.loads(printed.splitlines()[-1])
    return texts


def copy_project(config: JudgedParameters, target: Path) -> None:
    """Copy what the candidates are made of, with training rows in the place of the test rows."""
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in NEEDED:
        source = Path(name)
        if source.is_dir():
            shutil.copytree(source, target / source, ignore=unwanted)
        elif source.is_file():
            shutil.copyfile(source, target / source)
    data = target / config.data
    shutil.copytree(config.data / "prepared", data / "prepared")
    shutil.copyfile(config.data / "contract.yaml", data / "contract.yaml")
    for test in sorted((data / "prepared").rglob("test.parquet")):
        rows = as_many_rows(test.with_name("train.parquet"), test)
        pq.write_table(rows, test)


def as_many_rows(train: Path, test: Path) -> pa.Table:
    """Return as many rows of one file as another has."""
    rows, count = pq.read_table(train), pq.read_metadata(test).num_rows
    return rows.take(np.arange(count) % rows.num_rows) if rows.num_rows else rows


def compare(judgement: Judgement, folder: Path | None) -> Iterator[Finding]:
    """Fail where the winner is another one without the test part."""
    if folder is None:
        words = "nothing was trained again (no --blind): for local use only"
        yield Finding(CHECK, "note", words)
        return
    name = (judgement.metrics or {}).get("winner")
    path = folder / f"{name}.json"
    if not path.is_file():
        raise CannotJudge(f"training {name} without the test part failed: see the job before this")
    again = judgement.params is not None and judgement.params.refit.rows != "none"
    judged = JUDGED if again else WINNER
    if path.read_bytes() == judged.read_bytes():
        yield Finding(CHECK, "pass", f"{judged} is the same bytes without the test part")
    elif outputs.is_close(judged, path):
        words = f"{judged} is the same within {outputs.CLOSE:g} without the test part"
        yield Finding(CHECK, "pass", words)
    else:
        words = f"{name} changed with the test part, which it must not read"
        yield Finding(CHECK, "fail", words)
