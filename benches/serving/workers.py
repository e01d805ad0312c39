"""Time the service with several workers, and two services on one database.

    python -m benches.serving.workers [--database postgresql://...] [--seconds S]

32 connections, SQLite unless an empty PostgreSQL database is named; in turns of one run beside the
reference way of `benches.serving.ways`, which has one process as the service with one worker has.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from benches.pipeline import line, say, step
from benches.serving import serve as single
from benches.serving.serve import OURS, WAYS, Way, fit_reference, prepare, serve, turn

CONNECTIONS = 32
WORKERS = (1, 2, 4)
ROUNDS = 3

Running = list[tuple[int, psutil.Process]]
"""The ports of the services that answer together, with a process of each."""


def start(stack: contextlib.ExitStack, folder: Path, database: str | None) -> dict[str, Running]:
    """Start all services, and return them by name."""
    shared = database or f"sqlite:///{folder}/shared.sqlite"
    ways = {"reference": [WAYS["c"]]}
    for workers in WORKERS:
        url = database or f"sqlite:///{folder}/{workers}.sqlite"
        options = {
            "BENTOML_CONFIG_OPTIONS": f"services.credit_pd.workers={workers}",
            "DATABASE_URL": url,
        }
        ways[f"{workers} workers"] = [Way("ours", OURS, options)]
    ways["two services on one database"] = [Way("ours", OURS, {"DATABASE_URL": shared})] * 2
    running: dict[str, Running] = {}
    for name, of_name in ways.items():
        step(f"starting {name}")
        running[name] = [stack.enter_context(serve(folder, way)) for way in of_name]
    return running


def rate(folder: Path, services: Running) -> float:
    """Return the answers a second of services that are loaded at the same time."""
    connections = CONNECTIONS // len(services)
    with ThreadPoolExecutor(len(services)) as pool:
        turns = [pool.submit(turn, folder, *service, connections) for service in services]
        return sum(each.result().rate for each in turns)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benches.serving.workers", description=__doc__)
    parser.add_argument("--database", metavar="URL", help="an empty PostgreSQL database")
    parser.add_argument("--seconds", type=float, default=single.SECONDS, help="of a turn")
    options = parser.parse_args()
    single.SECONDS = options.seconds
    rates: dict[str, list[float]] = {}
    with TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        step("fitting the reference pipeline")
        prepare(folder)
        fit_reference(folder)
        running = start(stack, folder, options.database)
        for number in range(ROUNDS + 1):
            step(f"round {number} of {ROUNDS}" if number else "warming up")
            for each, services in running.items():
                one = rate(folder, services)
                if number:
                    rates.setdefault(each, []).append(one)
    reference = median(rates["reference"])
    for each, of_name in rates.items():
        say(f"{each:32}{median(of_name):>9.0f} answers/s")
    aims = {"1 workers": ">= 41", "2 workers": ">= 60"}
    for each, aim in aims.items():
        line(f"{each}, to the reference", median(rates[each]) / reference, aim)
    say(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
