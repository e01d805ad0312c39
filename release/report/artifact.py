"""Size and latency of the winner that would be released."""

from __future__ import annotations

import json
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

from stages.models import model_file
from stages.models.artifact import Model

PATH = Path("models/winner.json")
GOLDEN = Path("models/golden.jsonl")
CALLS = 300
UNREADABLE = (OSError, TypeError, ValueError, KeyError)


class Artifact(NamedTuple):
    """Bytes, median microseconds of one application in process, and why these are not known."""

    size: int
    microseconds: float | None
    trouble: str = ""


def measure() -> Artifact | None:
    """The winner in the working tree, or None where there is none."""
    if not PATH.is_file():
        return None
    size = PATH.stat().st_size
    try:
        winner = model_file.read(PATH)
        records = [json.loads(line)["application"] for line in GOLDEN.read_text().splitlines()]
        took = [clock(winner, record) for record in islice(cycle(records), CALLS)]
        return Artifact(size, median(took))
    except UNREADABLE as error:
        return Artifact(size, None, f"{type(error).__name__}: {error}")


def clock(winner: Model, application: dict[str, object]) -> float:
    """Return the time of scoring one application once, in microseconds."""
    begin = time.perf_counter_ns()
    winner.predict_one(application)
    return (time.perf_counter_ns() - begin) / 1000
