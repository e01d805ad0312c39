"""The real service on a PostgreSQL that stops answering without closing a connection."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.service.ledger.test_ledger_attacks import hung
from tests.support.databases import Postgres

from .processes import wait_until
from .served import other_book, serve

pytest_plugins = ("tests.support.databases",)
pytestmark = pytest.mark.e2e

WITHIN = 5.0  # seconds for an answer


def test_every_answer_comes_within_five_seconds_and_the_service_comes_back(
    postgres: Postgres, tmp_path: Path
) -> None:
    folder = other_book(tmp_path / "book")
    # One client for all: making one costs more of a processor than the answer.
    with (
        serve(folder, DATABASE_URL=postgres.new_database()) as served,
        httpx.Client(timeout=60) as client,
    ):
        case = served.golden[0]["application"]
        case = {name: value for name, value in case.items() if value is not None}
        served.ask("POST", "predict", json=case)

        def ask(number: int) -> tuple[float, int, str | None, str]:
            paths = ("predict", "readyz", "logs", "drift-reports", "predict_batch", "logs?search=a")
            path = paths[number % len(paths)]
            body = {"predict": case, "predict_batch": [case] * 20}.get(path)
            since = time.monotonic()
            method = "POST" if body else "GET"
            answer = client.request(method, f"{served.url}{path}", json=body)
            return (
                time.monotonic() - since,
                answer.status_code,
                answer.headers.get("retry-after"),
                path,
            )

        def metric(name: str) -> float:
            lines = client.get(f"{served.url}metrics").text.splitlines()
            (line,) = [each for each in lines if each.startswith(name)]
            return float(line.rpartition(" ")[2])

        with hung(postgres), ThreadPoolExecutor(60) as clients:
            time.sleep(1.1)  # that the ledger can be written is remembered for a second
            for _ in range(2):
                answers = list(clients.map(ask, range(60)))
                slow = [a for a in answers if a[0] > WITHIN]
                wrong = [a for a in answers if a[1:3] != (503, "1")]
                assert (slow, wrong) == ([], [])
            assert metric("credit_ready") == 0
            assert metric("credit_ledger_up") == 0
            assert metric("credit_background_look_timestamp_seconds") < time.time() - 3
        wait_until(lambda: ask(1)[1] == 200, 10, "readiness after the database came back")
        wait_until(lambda: metric("credit_ready") == 1, 10, "the metric of readiness")
        assert ask(0)[1] == 200
