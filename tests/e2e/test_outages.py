"""The database or a worker fails in mid-load, again and again: nothing acknowledged is lost.

OUTAGES=30 python -m pytest -s tests/e2e/test_outages.py    # two of each sort without OUTAGES
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
import pytest

from service.ledger import Ledger
from service.ledger.storage.connections import LONG_DEADLINE
from service.supervisor import LOOK_EVERY
from tests.service.ledger.test_ledger_attacks import hung
from tests.support.databases import Postgres

from .served import START, Served, other_book, serve

pytest_plugins = ("tests.support.databases",)
pytestmark = pytest.mark.e2e

OUTAGES = int(os.environ.get("OUTAGES", "2"))  # of each sort
CLIENTS = 8
LASTS = 6.0  # seconds of an outage
PAUSE = 2.0  # seconds of load before and after it
ANSWER, NOTICE, RECOVERY = 10.0, 5.0, 10.0  # seconds that are allowed
TICK = 0.05  # seconds between two looks
# Seconds until another worker is started in the place of one that was killed: the supervisor's own
# looks, and what a busy machine adds.
REPLACED = 2 * LOOK_EVERY + 2.0


class Load:
    """Clients that ask for decisions until the block ends, and what they were answered."""

    def __init__(self, served: Served, case: dict[str, Any]) -> None:
        self.url, self.case = served.url, case
        self.ids: list[str] = []
        self.slowest, self.unanswered, self.refused = 0.0, 0, [float("inf")]
        self.broken = 0  # connections that were closed instead of an answer
        self._end = threading.Event()
        self._clients = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> Load:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        for client in self._clients:
            client.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=ANSWER) as client:
            while not self._end.wait(TICK):
                since = time.monotonic()
                try:
                    answer = client.post(f"{self.url}predict", json=self.case)
                except httpx.TimeoutException:
                    self.unanswered += 1
                    continue
                except httpx.HTTPError:
                    self.broken += 1
                    continue
                self.slowest = max(self.slowest, time.monotonic() - since)
                if answer.status_code == httpx.codes.OK:
                    self.ids.append(answer.json()["prediction_id"])
                else:
                    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
                    self.refused.append(time.monotonic())


def wait_for(url: str, status: int, seconds: float) -> float:
    """Return the seconds until readiness has this status; no more than `seconds`."""
    since = time.monotonic()
    while time.monotonic() - since < seconds:
        # Each time by a new connection: an idle one may be closed as the request is sent.
        if httpx.get(f"{url}readyz", timeout=ANSWER).status_code == status:
            break
        time.sleep(TICK)
    return time.monotonic() - since


@contextmanager
def ended(server: Postgres) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()


@contextmanager
def full(disk: Path) -> Iterator[None]:
    filling = disk / "filling"
    try:
        with filling.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while file.write(b"\0" * size):
                        pass
                except OSError:
                    continue
        yield
    finally:
        filling.unlink()


def find_lost(url: str, ids: list[str]) -> list[str]:
    """Return those of these entries that the ledger does not have."""
    ledger = Ledger(url, LONG_DEADLINE)
    recorded = {entry.id for entry in ledger.after(0, len(ids) * 2 + 1000)}
    ledger.close()
    return [each for each in ids if each not in recorded]


def check(url: str, folder: Path, outage: Any, *arguments: Any) -> None:
    """Serve on the database, let it fail so often under load, and compare with the ledger."""
    environment = {"DATABASE_URL": url, "LEDGER_CHECKPOINTS": str(folder / "checkpoints")}
    book = other_book(folder / "book")
    with serve(book, **environment) as served:
        golden = served.golden[0]["application"]
        case = {name: value for name, value in golden.items() if value is not None}
        notices, recoveries = [], []
        with Load(served, case) as load:
            for _ in range(OUTAGES):
                time.sleep(PAUSE)
                load.refused = [float("inf")]
                fails: AbstractContextManager[None] = outage(*arguments)
                with fails:
                    since = time.monotonic()
                    wait_for(served.url, 503, LASTS)
                    noticed = time.monotonic()
                    time.sleep(max(0.0, LASTS - (noticed - since)))
                    assert len(load.refused) > 1, "the outage did not reach the service"
                    notices.append(noticed - min(*load.refused, noticed))
                recoveries.append(wait_for(served.url, 200, 2 * RECOVERY))
            time.sleep(PAUSE)
    lost = find_lost(url, load.ids)
    print(
        f"\n{OUTAGES} outages, {len(load.ids)} decisions acknowledged, {len(lost)} lost, "
        f"{load.unanswered + load.broken} not answered, slowest answer {load.slowest:.1f} s, "
        f"noticed within {max(notices):.1f} s, recovered within {max(recoveries):.1f} s"
    )
    assert (lost, load.unanswered, load.broken) == ([], 0, 0)
    assert load.ids
    assert load.slowest < ANSWER
    assert max(notices) < NOTICE
    assert max(recoveries) < RECOVERY


@pytest.mark.parametrize("outage", [hung, ended])
def test_postgresql_hangs_or_ends(postgres: Postgres, tmp_path: Path, outage: Any) -> None:
    check(postgres.new_database(), tmp_path, outage, postgres)


def test_the_file_of_sqlite_is_locked(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    check(f"sqlite:///{file}", tmp_path, locked, file)


def test_the_disk_is_full(on_small_disk: str, small_disk: Path, tmp_path: Path) -> None:
    check(on_small_disk, tmp_path, full, small_disk)


def worker_of(served: Served) -> psutil.Process | None:
    """Return the process that answers; None while there is none."""
    for child in psutil.Process(served.supervisor.pid).children():
        with suppress(psutil.Error):
            is_worker = "_bentoml_impl.worker.service" in child.cmdline()
            if is_worker and child.status() != psutil.STATUS_ZOMBIE:
                return child
    return None


def test_a_worker_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    with serve(other_book(tmp_path / "book"), DATABASE_URL=url) as served:
        golden = served.golden[0]["application"]
        case = {name: value for name, value in golden.items() if value is not None}
        replaced, answered = [], []
        with Load(served, case) as load:
            for _ in range(OUTAGES):
                time.sleep(PAUSE)
                worker = worker_of(served)
                assert worker is not None
                wanted = len(load.ids) + 2 * CLIENTS  # more than were under way
                worker.kill()
                since = time.monotonic()
                while worker_of(served) in (None, worker):
                    time.sleep(TICK)
                replaced.append(time.monotonic() - since)
                while len(load.ids) < wanted:
                    time.sleep(TICK)
                    assert time.monotonic() - since < START
                answered.append(time.monotonic() - since)
    lost = find_lost(url, load.ids)
    print(
        f"\n{OUTAGES} workers killed, {len(load.ids)} decisions acknowledged, {len(lost)} lost, "
        f"{load.broken} connections broken, another worker within {max(replaced):.1f} s, answers "
        f"within {max(answered):.1f} s, half of them within {median(answered):.1f} s"
    )
    assert lost == []
    assert load.broken <= CLIENTS * OUTAGES
    assert max(replaced) < REPLACED
