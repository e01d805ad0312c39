"""Time the service against other ways, in turns of one run: `python -m benches.serving.serve`.

One LightGBM model of `params.yaml`, the same applications, one process each: (a) the service, its
ledger on; (b) the service without a ledger; (c) the reference way; (d) a bare ASGI application; (e)
as (a), with nothing watching its decisions. See `benches.serving.ways`. Then what a durable commit
takes alone, and a profile of the service's own part of a request.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cloudpickle
import httpx
import numpy as np
import pandas as pd
import psutil

from benches.pipeline import line, say, step
from benches.serving.request_profile import print_profile, profile_requests
from benches.serving.scoring import pipeline, raw
from service.decision.hashes import GOLDEN, WINNER
from stages import params
from stages.contract import prepared
from stages.models import artifact, model_file

ROOT = Path(__file__).parents[2]
PIPELINE = Path("models/pipeline.pickle")
ROUNDS = 3
SECONDS = 4.0
CONNECTIONS = (1, 32)
APPLICATIONS = 200
START = 120  # seconds
UVICORN = ("-m", "uvicorn", "--no-access-log", "--log-level", "warning")
COMMITS = 500
REQUESTS = 3200  # of the profile


class Way(NamedTuple):
    """A way to serve: what it is called, how it is started, and its settings."""

    title: str
    command: tuple[str, ...]
    settings: dict[str, str] = {}  # noqa: RUF012  (never changed)


OURS = ("-m", "bentoml", "serve", "service.service:CreditPD")
UNWATCHED = {"CREDIT_PD_MONITOR": "off"}
WAYS = {
    "a": Way("ours, recorded", OURS),
    "b": Way(
        "ours, not recorded",
        ("-m", "bentoml", "serve", "benches.serving.ways:Unrecorded"),
        UNWATCHED,
    ),
    "c": Way("reference", (*UVICORN, "--factory", "benches.serving.ways:reference")),
    "d": Way("bare", (*UVICORN, "benches.serving.ways:bare")),
    "e": Way("ours, not watched", OURS, UNWATCHED),
}


class Turn(NamedTuple):
    """One turn of load: answers a second, milliseconds, CPU microseconds an answer."""

    rate: float
    p50: float
    p95: float
    p99: float
    cpu: float


def prepare(folder: Path) -> None:
    """Fill the folder that services run in: code, model, golden records and applications."""
    for package in ("stages", "service", "benches"):
        shutil.copytree(ROOT / package, folder / package)
    config, model = params.load(), artifact.load(Path("models/candidates/lightgbm.joblib"))
    (folder / config.data).mkdir(parents=True)
    shutil.copy(config.data / "contract.yaml", folder / config.data)
    shutil.copy("params.yaml", folder)
    (folder / "models").mkdir()
    model_file.write(model, folder / WINNER)
    shutil.copy("models/reference.json", folder / "models")
    # Complete applications only: the reference way fails where a category is missing.
    test = model.features.encode(raw(model, "test"))
    test = test[~np.isnan(test).any(axis=1)][:APPLICATIONS]
    applications = [model.features.application(row) for row in test]
    records = [
        {"application": a, "default_probability": model.predict_one(a)} for a in applications
    ]
    (folder / GOLDEN).write_text("".join(json.dumps(r) + "\n" for r in records))
    (folder / "bodies.jsonl").write_text("".join(json.dumps(a) + "\n" for a in applications))


def fit_reference(folder: Path) -> None:
    """Fit the pipeline of the reference way, and write it into the folder."""
    config, model = params.load(), artifact.load(Path("models/candidates/lightgbm.joblib"))
    train = pd.DataFrame(raw(model, "train"))
    bad = prepared.outcome(prepared.read(config.data / "prepared" / "train.parquet"))
    usual = pipeline(train, config.train.lightgbm, model).fit(train, bad)
    (folder / PIPELINE).write_bytes(cloudpickle.dumps(usual))


@contextlib.contextmanager
def serve(folder: Path, way: Way) -> Iterator[tuple[int, psutil.Process]]:
    """Serve in the folder, and yield the port and the process that answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{folder}/{port}.sqlite",
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
        **way.settings,
    }
    full = [sys.executable, *way.command, "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(full, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        wait(port, process)
        tree = [psutil.Process(process.pid)]
        tree += [p for p in tree[0].children(recursive=True) if "_bentoml_impl" in str(p.cmdline())]
        yield port, tree[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the port is ready, or answers that it has no check of readiness."""
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if (
                httpx.get(f"http://127.0.0.1:{port}/readyz").status_code
                != httpx.codes.SERVICE_UNAVAILABLE
            ):
                return
        time.sleep(0.2)
    raise TimeoutError(f"nothing answers on port {port}; status {process.poll()}")


def turn(folder: Path, port: int, process: psutil.Process, connections: int) -> Turn:
    """Return the measures of one turn of load, which a separate process sends."""
    before = sum(process.cpu_times()[:2])
    bodies = str(folder / "bodies.jsonl")
    command = [
        sys.executable,
        "-m",
        "benches.serving.load",
        str(port),
        str(connections),
        str(SECONDS),
        bodies,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    counts = json.loads(done.stdout)
    if counts["errors"]:
        log = (folder / "log").read_text()[-2000:]
        raise RuntimeError(f"{counts['errors']} requests failed: {done.stderr}\n{log}")
    used = 1e6 * (sum(process.cpu_times()[:2]) - before) / counts["answers"]
    return Turn(
        counts["answers"] / counts["seconds"], counts["p50"], counts["p95"], counts["p99"], used
    )


def measure(folder: Path) -> dict[tuple[str, int], Turn]:
    """Return the medians for every way and number of connections."""
    turns: dict[tuple[str, int], list[Turn]] = {}
    with contextlib.ExitStack() as stack:
        running = {}
        for name, way in WAYS.items():
            step(f"starting {way.title}")
            running[name] = stack.enter_context(serve(folder, way))
        for number in range(ROUNDS + 1):
            step(f"round {number} of {ROUNDS}" if number else "warming up")
            for connections in CONNECTIONS:
                for name, (port, process) in running.items():
                    one = turn(folder, port, process, connections)
                    if number:
                        turns.setdefault((name, connections), []).append(one)
    return {key: Turn(*map(median, zip(*group, strict=True))) for key, group in turns.items()}


def time_commits(folder: Path) -> list[float]:
    """Return p50, p95 and p99 of a durable commit of one row alone, in milliseconds."""
    taken = []
    with contextlib.closing(sqlite3.connect(folder / "commits.sqlite")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE rows (content TEXT)")
        for _ in range(COMMITS):
            since = time.perf_counter()
            with database:
                database.execute("INSERT INTO rows VALUES (?)", ("x" * 1000,))
            taken.append(1000 * (time.perf_counter() - since))
    return [float(value) for value in np.percentile(taken, (50, 95, 99))]


def print_table(medians: dict[tuple[str, int], Turn], alone: list[float]) -> None:
    """Print the table and the ratios."""
    say(f"{'':22}{'conns':>6}{'answers/s':>11}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'CPU µs':>9}")
    for (name, connections), one in sorted(medians.items()):
        numbers = f"{one.rate:>11.0f}{one.p50:>9.2f}{one.p95:>9.2f}{one.p99:>9.2f}{one.cpu:>9.0f}"
        say(f"({name}) {WAYS[name].title:18}{connections:>6}{numbers}")
    commit = "".join(f"{value:>9.2f}" for value in alone)
    say(f"{'a durable commit alone':39}{commit}")
    a, b, c, d, e = (medians[name, 32] for name in "abcde")
    line("answers/s at 32 connections, (a) to (c)", a.rate / c.rate, ">= 40")
    line("CPU an answer at 32 connections, (b) to (d)", b.cpu / d.cpu, "<= 2")
    line("p99 at 1 connection, (c) to (a)", medians["c", 1].p99 / medians["a", 1].p99, ">= 30")
    line("answers/s at 32 connections, (a) to (e)", a.rate / e.rate, ">= 0.95")


def main() -> None:
    """Measure and print."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        step("fitting the reference pipeline")
        prepare(folder)
        fit_reference(folder)
        medians = measure(folder)
        print_table(medians, time_commits(folder))
        print_profile(profile_requests(folder, REQUESTS), REQUESTS)


if __name__ == "__main__":
    main()
