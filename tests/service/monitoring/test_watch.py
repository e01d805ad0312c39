from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from service.api.handlers.monitoring import Monitoring
from service.api.handlers.state import EngineState
from service.api.requests import Handler, Request, respond
from service.decision.applications import Applications
from service.ledger import Ledger
from service.monitoring.reports import Reports
from stages.contract import reading as contracts
from tests.service.monitoring.test_outcomes import decide, row
from tests.support.ledger_client import eventually

ROOT = Path(__file__).parents[3]


@pytest.fixture
def watch(ledger: Ledger, tmp_path: Path) -> Monitoring:
    ledger.prepare()
    return Monitoring(EngineState(tmp_path, ledger, max_batch=3))


def ask(handler: Handler, body: Any = None, part: str = "", **query: str) -> tuple[int, Any]:
    status, answer = asyncio.run(respond(handler, Request(part, query, to_json(body))))
    return status, from_json(answer)


def report(**changes: Any) -> dict[str, Any]:
    facts = {"time": "2026-01-01T00:00:00.000+00:00", "window": 100, "last_sequence": 1}
    return facts | {"loudest": "quiet", "model": "m", "findings": []} | changes


def test_outcomes_are_recorded_or_refused_row_by_row(watch: Monitoring) -> None:
    which = decide(watch.state.ledger)
    status, answer = ask(watch.outcomes, [row(which), row("nobody")])
    assert (status, answer["recorded"]) == (200, 1)
    assert answer["refused"][0]["row"] == 1


@pytest.mark.parametrize("body", [{}, [], [1], [{}] * 4])
def test_a_body_that_is_no_list_of_outcomes_is_refused(watch: Monitoring, body: Any) -> None:
    assert ask(watch.outcomes, body)[0] == 422


def test_reports_are_served_newest_first_and_one_by_one(watch: Monitoring) -> None:
    for window in (100, 1000):
        watch.reports.add(report(window=window))
    assert [r["window"] for r in ask(watch.drift_reports, limit="1")[1]["reports"]] == [1000]
    assert [r["window"] for r in ask(watch.drift_reports, before="2")[1]["reports"]] == [100]
    assert ask(watch.drift_report, part="2")[1]["window"] == 1000


def test_reports_and_incidents_of_many_processes_are_all_kept(
    ledger: Ledger, database: str
) -> None:
    ledger.prepare()
    other = Ledger(database)
    stores = [Reports(ledger.engine), Reports(other.engine)]

    def add(number: int) -> int | None:
        store = stores[number % 2]
        finding = {"field": f"f{number}", "words": "moved", "loudness": "alarm", "value": 1.0}
        store.settle(str(number), [finding], "t")
        return store.add(report(window=number))

    with ThreadPoolExecutor(8) as monitors:
        numbers = list(monitors.map(add, range(80)))
    other.close()
    assert sorted(filter(None, numbers)) == list(range(1, 81))
    assert len(stores[0].open_incidents()) == 80


def test_a_window_that_another_monitor_reported_is_not_reported_twice(watch: Monitoring) -> None:
    with ThreadPoolExecutor(8) as monitors:
        numbers = list(monitors.map(lambda _: watch.reports.add(report()), range(8)))
    assert [number for number in numbers if number is not None] == [1]
    assert watch.reports.add(report(last_sequence=2)) == 2


@pytest.mark.parametrize("part", ["3", "x", "-1", "9" * 40])
def test_a_missing_report_is_not_found(watch: Monitoring, part: str) -> None:
    assert ask(watch.drift_report, part=part)[0] == 404


def test_the_monitor_ends_with_the_service(
    watch: Monitoring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", str(watch.state.ledger.engine.url))
    monkeypatch.delenv("CREDIT_PD_MONITOR", raising=False)
    monkeypatch.chdir(Path(__file__).parents[3])
    watch.start()
    process = watch.monitor.process
    assert process is not None
    watch.stop()
    assert process.poll() is not None


@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.0])
def test_a_killed_service_leaves_no_monitor_behind(seconds: float, tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from service.api.handlers.monitoring import Monitoring\n"
        "from service.api.handlers.state import EngineState\n"
        "from service.ledger import Ledger\n"
        "watch = Monitoring(EngineState(Path(sys.argv[1]), Ledger()))\n"
        "watch.start(); print(watch.monitor.process.pid, flush=True); time.sleep(600)"
    )
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path}/x.sqlite"}
    environment.pop("CREDIT_PD_MONITOR", None)
    command = [sys.executable, "-c", program, str(ROOT)]
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        monitor = Path(f"/proc/{service.stdout.readline().strip()}")
        time.sleep(seconds)
        service.kill()
    eventually(lambda: not is_watching(monitor), seconds=60)


def is_watching(process: Path) -> bool:
    try:
        return b"--watch" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def test_a_monitor_without_its_parent_ends_by_itself() -> None:
    command = [sys.executable, "-m", "service.monitoring", "--watch", "--root", "nowhere"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()  # as the kernel does for a parent that was killed
    assert process.wait(timeout=60) == 0


def refuse(watch: Monitoring, count: int) -> None:
    problem = [{"field": "wage", "allowed": "", "got": 1}]
    requests = Applications(contracts.load("loan_book"), "application")
    for _ in range(count):
        watch.state.refusals.count_refused(problem, requests)


def test_a_feed_that_is_refused_opens_an_incident_that_ends_with_it(
    watch: Monitoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDIT_PD_MONITOR", raising=False)
    refuse(watch, 100)
    watch.update_gauges()
    (opened,) = watch.reports.open_incidents()
    assert opened["words"] == "(unknown): 100% of applications were refused for it (unknown)"
    watch.state.refusals.count_accepted(100)
    watch.update_gauges()
    assert watch.reports.open_incidents() == []


def test_a_monitor_that_runs_apart_is_not_started_here(
    watch: Monitoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDIT_PD_MONITOR", "apart")
    watch.start()
    assert watch.monitor.process is None
    refuse(watch, 100)
    watch.update_gauges()
    assert len(watch.reports.open_incidents()) == 1


def test_refusals_are_not_judged_when_the_monitor_is_off(
    watch: Monitoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDIT_PD_MONITOR", "off")
    refuse(watch, 100)
    watch.update_gauges()
    assert watch.reports.open_incidents() == []
