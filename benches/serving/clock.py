"""Run commands and calls, and return the time and the memory that they took."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

TURN = 0.2


class Cost(NamedTuple):
    """The cost of a process and its children: seconds, CPU seconds, and peak memory in MB."""

    wall: float
    cpu: float
    peak: float


def run(folder: Path, *command: str, **environment: str) -> Cost:
    """Run a command in a folder, and return its cost; raises CalledProcessError on failure."""
    since = perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | environment, stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, KB here
    peak = used.ru_maxrss * unit / 1e6
    return Cost(perf_counter() - since, used.ru_utime + used.ru_stime, peak)


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the median of each part of the costs."""
    return Cost(*(median(parts) for parts in zip(*costs, strict=True)))


def in_turn(ways: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Return the median seconds of a call of each way, called in turns for `seconds` in all.

    A turn is many quick calls: a call right after another way's finds its caches cold.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for call in ways.values():
        call()
    until = perf_counter() + seconds
    while perf_counter() < until:
        for name, call in ways.items():
            end = perf_counter() + TURN
            while (since := perf_counter()) < end:
                call()
                taken[name].append(perf_counter() - since)
    return {name: median(times) for name, times in taken.items()}
