"""A Dask cluster of processes: a scheduler and its workers, as separate commands start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.books import ROOT

QUIET = {"DASK_LOGGING__DISTRIBUTED": "error", "OMP_NUM_THREADS": "1"}


@dataclass
class Cluster:
    """The processes of a cluster, and where its scheduler answers."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return str(json.loads((self.folder / "scheduler.json").read_text())["address"])

    def start(self, role: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{role}", "--host", "127.0.0.1"]
        file = ["--scheduler-file", str(self.folder / "scheduler.json")]
        log = (self.folder / f"{role}.{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [*command, *file, *options],
                cwd=ROOT,
                env=os.environ | QUIET,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        place = str(self.folder / "work")
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", place)
        return self.start("worker", *options)


@contextmanager
def running(folder: Path, workers: int) -> Iterator[Cluster]:
    """Yield a cluster, whose processes end with the block."""
    cluster = Cluster(folder)
    with ExitStack() as stack:
        stack.callback(lambda: [process.kill() or process.wait() for process in cluster.processes])
        cluster.start("scheduler", "--port", "0", "--no-dashboard")
        wait_for(folder / "scheduler.json")
        for _ in range(workers):
            cluster.start_worker()
        yield cluster


def wait_for(path: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not (path.exists() and (path.stat().st_size or path.suffix != ".json")):
        assert time.monotonic() < deadline, f"{path} did not appear in {seconds} s"
        time.sleep(0.05)
