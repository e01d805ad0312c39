"""Load the service with more than it can answer: `python -m benches.serving.overload`.

One service with its ledger, one after another: one connection alone (idle), as many as give the
capacity, 2 and 10 times the capacity at a fixed rate over 1,000 connections, 1,000 connections that
ask again as soon as they are answered, and single decisions beside batches, explanations and
searches. Everything is compared with the idle service of the same run. The clients have one
processor and the service all others, so that it is not the clients that wait for a processor.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benches.pipeline import line, say, step
from benches.serving.serve import ROOT, WAYS, Way, prepare, serve

CONNECTIONS = 1000
AT_CAPACITY = 32  # connections
BATCH = 200  # applications
SAMPLE = 0.2  # seconds between two looks at the memory
BOUND = 250  # milliseconds of the 99th percentile of what is accepted
WORDS = ("decline", "approve", "home", "business", "education")

Counts = dict[str, Any]
"""What `benches.serving.flood` prints."""


def write_requests(folder: Path) -> None:
    """Write the file of requests of each sort."""
    applications = [json.loads(each) for each in (folder / "bodies.jsonl").read_text().splitlines()]
    batch = (applications * BATCH)[:BATCH]
    sorts: dict[str, list[tuple[str, str, Any]]] = {
        "predict": [("POST", "/predict", each) for each in applications],
        "batches": [("POST", "/predict_batch", batch)],
        "explanations": [("POST", "/explain", each) for each in applications],
        "searches": [("GET", f"/logs?limit=200&search={word}", None) for word in WORDS],
    }
    for name, requests in sorts.items():
        lines = (json.dumps({"method": m, "path": p, "body": b}) + "\n" for m, p, b in requests)
        (folder / f"{name}.requests").write_text("".join(lines))


class Server:
    """A running service, and the largest memory that its processes had together."""

    def __init__(self, folder: Path, port: int, worker: psutil.Process) -> None:
        self.folder, self.port = folder, port
        self.supervisor = worker.parent() or worker
        self.largest = 0
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self._watch.start()

    def flood(
        self, connections: int, seconds: float, rate: float = 0, sort: str = "predict"
    ) -> Counts:
        """Load the service by a process of its own, and return what it counted."""
        requests = str(self.folder / f"{sort}.requests")
        arguments = map(str, (self.port, connections, seconds, rate, requests))
        command = [sys.executable, "-m", "benches.serving.flood", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        counts: Counts = json.loads(done.stdout)
        return counts

    def stop(self) -> None:
        """Stop watching the memory."""
        self._done.set()
        self._watch.join()

    def _watch_memory(self) -> None:
        while not self._done.wait(SAMPLE):
            with contextlib.suppress(psutil.Error):
                tree = [self.supervisor, *self.supervisor.children(recursive=True)]
                self.largest = max(self.largest, sum(p.memory_info().rss for p in tree))


@contextlib.contextmanager
def running(way: Way) -> Iterator[Server]:
    """Serve in a temporary folder."""
    with TemporaryDirectory(prefix="overload.") as name:
        folder = Path(name)
        step("preparing the model and the requests")
        prepare(folder)
        write_requests(folder)
        *others, last = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, others or [last])  # for what is started from here
        with serve(folder, way) as (port, worker):
            os.sched_setaffinity(0, [last])
            server = Server(folder, port, worker)
            try:
                yield server
            finally:
                server.stop()


def print_counts(title: str, counts: Counts) -> None:
    """Print one line of the table."""
    accepted, refused = counts["accepted_ms"], counts["refused_ms"]
    cells = [
        f"{counts['sent'] / counts['seconds']:>9.0f}",
        f"{counts['accepted'] / counts['seconds']:>9.0f}",
        f"{counts['refused'] / counts['seconds']:>9.0f}",
        *(f"{accepted.get(name, float('nan')):>8.1f}" for name in ("p50", "p99", "p100")),
        *(f"{refused.get(name, float('nan')):>8.1f}" for name in ("p50", "p99")),
        f"{counts['unanswered'] + sum(counts['failed'].values()):>8}",
    ]
    say(f"{title:34}" + "".join(cells))


def measure(server: Server, seconds: float) -> None:
    """Run one situation after another, and print each."""
    say(
        f"{'':34}{'sent/s':>9}{'taken/s':>9}{'refus./s':>9}"
        f"{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}{'ref. p50':>8}{'ref. p99':>8}{'no answ.':>8}"
    )
    server.flood(AT_CAPACITY, seconds / 2)
    idle = server.flood(1, seconds)
    print_counts("one connection", idle)
    capacity = server.flood(AT_CAPACITY, seconds)
    print_counts(f"{AT_CAPACITY} connections", capacity)
    rate = capacity["accepted"] / capacity["seconds"]
    floods = {
        f"{times} x capacity, {CONNECTIONS} connections": server.flood(
            CONNECTIONS, seconds, times * rate
        )
        for times in (2, 10)
    }
    floods[f"{CONNECTIONS} connections, closed loop"] = server.flood(CONNECTIONS, seconds)
    for title, counts in floods.items():
        print_counts(title, counts)
    beside = {}
    for sort in ("batches", "explanations", "searches"):
        with ThreadPoolExecutor(1) as pool:
            others = pool.submit(server.flood, 2, seconds + 1, 0, sort)
            beside[sort] = server.flood(1, seconds)
            print_counts(f"one connection beside {sort}", beside[sort])
            print_counts(f"  the {sort}", others.result())
    for title, counts in floods.items():
        line(f"p99 of what is accepted, {title}", counts["accepted_ms"]["p99"], f"<= {BOUND} ms")
    for sort, counts in beside.items():
        ratio = counts["accepted_ms"]["p99"] / idle["accepted_ms"]["p99"]
        line(f"p99 beside {sort} to idle", ratio, "<= 5")
    line("largest memory of all processes, MiB", server.largest / (1 << 20), "<= 768")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benches.serving.overload", description=__doc__)
    parser.add_argument(
        "--seconds", metavar="S", type=float, default=10, help="of each situation (%(default)s)"
    )
    seconds = parser.parse_args().seconds
    with running(WAYS["a"]) as server:
        measure(server, seconds)
    say(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
