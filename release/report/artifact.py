"""Size and latency of the winner that would be released."""

from __future__ import annotations

import json
import pickle
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

from stages.models import artifact

PATH = Path("models/winner.joblib")
GOLDEN = Path("models/golden.jsonl")
CALLS = 300
UNLOADABLE = (OSError, TypeError, ValueError, AttributeError, ImportError, EOFError, KeyError)


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
        winner = artifact.load(PATH)
        records = [json.loads(line)["application"] for line in GOLDEN.read_text().splitlines()]
        took = [clock(winner, record) for record in islice(cycle(records), CALLS)]
        return Artifact(size, median(took))
    except (*UNLOADABLE, pickle.UnpicklingError) as error:
        return Artifact(size, None, f"{type(error).__name__}: {error}")


def clock(winner: artifact.Model, application: dict[str, object]) -> float:
    """Return the time of scoring one application once, in microseconds."""
    begin = time.perf_counter_ns()
    winner.predict_one(application)
    return (time.perf_counter_ns() - begin) / 1000
