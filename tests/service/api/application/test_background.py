"""What the service does beside answering goes on, whatever happens to it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from service.api import metrics
from service.api.application import background
from service.api.application.background import Background, repeat
from service.api.handlers.api import Api
from service.ledger import Ledger

pytest_plugins = ("tests.support.databases",)


@pytest.fixture
def beside(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Background:
    monkeypatch.setenv("CREDIT_PD_MONITOR", "off")
    return Background(Api(tmp_path, ledger), runs_monitor=True)


def age() -> float:
    return time.time() - metrics.LAST_BACKGROUND_UPDATE._value.get()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("seen"), OSError("seen"), TimeoutError("seen")]
)
def test_a_task_continues_after_an_error_and_prints_it(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    async def step() -> None:
        calls.append(1)
        raise error

    async def run() -> None:
        task = asyncio.create_task(repeat(step, 0.001))
        while len(calls) < 3:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(run())
    assert "seen" in capsys.readouterr().err


def test_an_update_creates_the_tables_and_sets_its_time(beside: Background, ledger: Ledger) -> None:
    asyncio.run(beside.update_monitoring())
    assert ledger.head().sequence == 0
    assert age() < 60


def test_a_failed_update_does_not_set_its_time(
    beside: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics.LAST_BACKGROUND_UPDATE.set(0)
    monkeypatch.setattr(background, "MONITORING_DEADLINE", 0.05)
    monkeypatch.setattr(beside.monitoring, "update_gauges", lambda: time.sleep(0.2))
    with pytest.raises(TimeoutError):
        asyncio.run(beside.update_monitoring())
    assert age() > 60


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_readiness_is_a_metric_and_comes_back_without_traffic(
    beside: Background, ledger: Ledger, database: str
) -> None:
    beside.state.engine = object()  # type: ignore[assignment]
    path = Path(database.removeprefix("sqlite:///"))
    ledger.prepare()
    ledger.check()
    path.rename(path.with_suffix(".away"))
    with pytest.raises(Exception, match="open"):
        ledger.check()
    asyncio.run(beside.set_gauges())
    assert metrics.READY._value.get() == 0
    path.with_suffix(".away").rename(path)
    asyncio.run(beside.probe_after_failure())
    asyncio.run(beside.set_gauges())
    assert metrics.READY._value.get() == 1
