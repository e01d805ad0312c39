"""Score the rows of the predictions again, with the artifact that would be released.

The artifact is read in a process of its own, by the code of this gate. Only where that code does
not give the PDs, and the change has code of its own, is the change's code asked: in CI by a job
before, which the judge shares nothing with. Then a person answers for it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from release import revisions
from release.gate import parameters
from release.gate.checks import Finding
from release.gate.judgement import Judgement, RedFlag
from release.gate.predictions import Predictions
from release.gate.reproduction import programs
from release.gate.reproduction.programs import OURS
from release.revisions import CannotJudge
from stages.judging.refit.agreement import Agreement
from stages.params import Refit

WINNER = Path("models/winner.json")
JUDGED = Path("models/judged.json")  # of which the figures are, where WINNER was fitted again
GOLDEN = Path("models/golden.jsonl")
SPLITS = ("validation", "test")
SCORES = "scores"
SECONDS = 900
CODE = ("stages", "requirements")  # what may change how an artifact scores
SCORE = """
import json, sys
from pathlib import Path
import numpy as np
from stages.contract import prepared
from stages.models import model_file
judged, winner, scores, golden, data, mode = sys.argv[1:7]
folder, golden = Path(scores), Path(golden)
judged, model = (model_file.read(Path(each)) for each in (judged, winner))
for split in sys.argv[7:]:
    table = prepared.read(Path(data) / "prepared" / f"{split}.parquet")
    columns = prepared.columns(table, judged.contract.inputs(mode))
    scored = judged.predict(columns), table.column("_row").to_numpy()
    np.savez(folder / split, pd=scored[0], row=scored[1], shipped=model.predict(columns))
lines = golden.read_text().splitlines() if golden.is_file() else []
records = [json.loads(line)["application"] for line in lines]
facts = {"golden": [model.predict_one(record) for record in records]}
(folder / "facts.json").write_text(json.dumps(facts))
"""


@dataclass(frozen=True)
class ArtifactScores:
    """What artifacts say: row numbers and PDs of each split by the judged one.

    By the one that ships, the PDs of the golden records, and of the rows of each split.
    """

    splits: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
    golden: list[float] | None = None
    shipped: dict[str, NDArray[np.float64]] = field(default_factory=dict)


def score(code: Path = OURS) -> ArtifactScores:
    """Return what the artifact in the current folder says, read by the code in a folder."""
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as folder:
        run(code, Path(folder))
        return read(Path(folder))


def run(code: Path, folder: Path) -> None:
    """Let the code of a folder write the scores into another; CannotJudge where it cannot."""
    config, _ = parameters.read()
    judged = JUDGED if JUDGED.is_file() else WINNER
    paths = map(str, (judged, WINNER, folder, GOLDEN, config.data))
    words = ["-c", SCORE, *paths, config.mode, *SPLITS]
    programs.run(words, code, what=f"scoring the prepared rows by {WINNER}", seconds=SECONDS)


def read(folder: Path) -> ArtifactScores:
    """Return the scores that a run left in a folder; CannotJudge where they are not whole."""
    splits, shipped = {}, {}
    try:
        for split in SPLITS:
            with np.load(folder / f"{split}.npz") as arrays:
                splits[split] = (arrays["row"].astype(np.int64), arrays["pd"])
                shipped[split] = arrays["shipped"]
        facts = json.loads((folder / "facts.json").read_text())
        return ArtifactScores(splits, facts["golden"], shipped)
    except (OSError, ValueError, KeyError) as error:
        raise CannotJudge(f"the job that scored with the change's code failed: {error}") from None


def save(folder: Path) -> str:
    """Write what the artifact says, read by the change's own code."""
    target = folder / SCORES
    target.mkdir(parents=True, exist_ok=True)
    run(Path(), target)
    return f"scored in {target}"


def compare(judgement: Judgement, table: Predictions, reproduced: Path | None) -> Iterator[Finding]:
    """Compare every PD with that of the judged artifact, bit for bit, and both artifacts."""
    changed = revisions.list_changed(judgement.base, *CODE) if judgement.base else []
    golden = judgement.params.evaluate.golden if judgement.params else 0
    config = judgement.params.refit if judgement.params else Refit()
    try:
        scores = score()
        wrong, by = differences(table, scores, golden), "the code of this gate"
    except CannotJudge:
        if not changed:
            raise
        wrong, by = [""], ""
    if wrong and changed:
        scores = read(reproduced / SCORES) if reproduced else score(Path())
        wrong, by = differences(table, scores, golden), "the change's own code alone"
        words = f"{by} gives the PDs that were judged: {len(changed)} files of it changed"
        judgement.red_flags.append(RedFlag("code", words))
    if wrong:
        words = f"{WINNER} does not give the PDs of the predictions: {'; '.join(wrong)}"
        yield Finding("rescoring", "fail", f"{words}; run `dvc repro --force` and commit")
    elif apart := disagreements(scores, config):
        words = f"{WINNER} is not the model that was judged, nor agrees with it: {'; '.join(apart)}"
        yield Finding("rescoring", "fail", words)
    else:
        judged = JUDGED if JUDGED.is_file() else WINNER
        words = f"{judged} gives every PD of the predictions again, by {by}"
        yield Finding("rescoring", "pass", words)
        yield from describe_refit(scores, config)


def disagreements(scores: ArtifactScores, config: Refit) -> list[str]:
    """Say where the artifact that ships is not the judged one, or one that agrees with it."""
    if config.rows == "none":
        differ = [s for s, pd in scores.shipped.items() if (pd != scores.splits[s][1]).any()]
        return ["its PDs differ, and params.yaml has refit.rows: none"] if differ else []
    if "test" not in scores.shipped:
        return []
    agreement = Agreement.of(scores.splits["test"][1], scores.shipped["test"])
    return agreement.faults(config, anchored=config.anchor != "none")


def describe_refit(scores: ArtifactScores, config: Refit) -> Iterator[Finding]:
    """Tell how the artifact that ships agrees with the judged one, where it was fitted again."""
    if config.rows != "none" and "test" in scores.shipped:
        found = Agreement.of(scores.splits["test"][1], scores.shipped["test"])
        yield Finding(
            "refit",
            "note",
            f"{WINNER} was fitted again (refit.rows: {config.rows}, anchor: {config.anchor}), on "
            f"test rows too; the figures are those of {JUDGED}. On test rows their PDs have a rank "
            f"correlation of {found.rank_correlation:.4f}, and means of {found.mean_pd_judged:.4f} "
            f"(judged) and {found.mean_pd_refitted:.4f} (ships)",
        )


def differences(table: Predictions, scores: ArtifactScores, golden: int) -> list[str]:
    """Say where predictions and golden records differ from what the artifact says.

    There must be as many `golden` records as params.yaml says, or as there are test rows.
    """
    wrong = []
    for split, (row, scored) in scores.splits.items():
        rows = table.split(split)
        if not np.array_equal(rows["row"].to_numpy(np.int64), row):
            wrong.append(f"the {split} rows are not those of the prepared data")
        elif count := int((rows["pd"].to_numpy(np.float64) != scored).sum()):
            wrong.append(f"{count:,} PDs of {split} rows differ")
    if scores.golden is None:
        return wrong
    stated = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    needed = min(golden, len(scores.splits["test"][0]))
    if len(stated) != needed:
        wrong.append(f"{GOLDEN} holds {len(stated)} records, and {needed} are needed")
    elif [each.get("default_probability") for each in stated] != scores.golden:
        wrong.append(f"the PDs in {GOLDEN} are not the artifact's")
    return wrong
