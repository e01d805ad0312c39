"""Time the winners of both sides in turns, on the same applications and by the same code."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from release import dvc_state, revisions
from release.gate.judgement import Judgement
from release.gate.reproduction import programs
from release.gate.reproduction.rescoring import GOLDEN, WINNER
from release.revisions import CannotJudge

SECONDS = 120
TIME = """
import json, sys, time
from pathlib import Path
from stages.models import model_file
golden, *winners = map(Path, sys.argv[1:])
records = [json.loads(line)["application"] for line in golden.read_text().splitlines()]
models = [model_file.read(path) for path in winners]
took = [[] for _ in models]
for number in range(300):
    for model, times in zip(models, took, strict=True):
        begin = time.perf_counter_ns()
        model.predict_one(records[number % len(records)])
        times.append(time.perf_counter_ns() - begin)
print(json.dumps([sorted(times)[len(times) // 2] / 1000 for times in took]))
"""


def measure(judgement: Judgement) -> tuple[float | None, float | None]:
    """Return the median microseconds of one application at the base and at the head.

    None where there is no artifact, or none that this code and these applications suit.
    """
    if not (WINNER.is_file() and GOLDEN.is_file()):
        return None, None
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as folder:
        former = Path(folder) / WINNER.name
        try:
            former.write_bytes(read_former(judgement))
            base, head = run([former, WINNER])
        except CannotJudge:
            return None, next(iter(_run_alone()), None)
    return base, head


def _run_alone() -> list[float]:
    try:
        return run([WINNER])
    except CannotJudge:
        return []


def read_former(judgement: Judgement) -> bytes:
    """Return the winner of the base from the cache; CannotJudge where it is not there."""
    lock = revisions.content(judgement.base, "dvc.lock") if judgement.base else None
    held = dvc_state.locked_outputs(lock).get(str(WINNER)) if lock else None
    if held is None:
        raise CannotJudge("the base has no winner")
    with dvc_state.open_storage(remote=False) as storage:
        return storage.read(held[0], str(WINNER))


def run(winners: list[Path]) -> list[float]:
    """Return the median microseconds of each winner; CannotJudge where one cannot score."""
    words = ["-c", TIME, str(GOLDEN), *map(str, winners)]
    printed = programs.run(words, programs.OURS, what=f"timing {WINNER}", seconds=SECONDS)
    took: list[float] = json.loads(printed)
    return took
