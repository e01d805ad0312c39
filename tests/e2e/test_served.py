"""The service as `bentoml serve` runs it: clients, metrics, load, and starts that fail."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import psutil
import pytest

from benches.serving.load import Client, connect, request_of
from service.decision import hashes
from service.ledger import Ledger
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.verify import verify

from . import served as served_parts
from .served import Served, loan_book, serve

CLIENTS = 64
SECONDS = 20.0
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return loan_book(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    with serve(folder) as running:
        yield running


def by_client(served: Served, call: str, value: Any) -> Any:
    """What a client made by BentoML returns; in a process of its own, as it leaves warnings."""
    code = (
        "import bentoml, json, sys\n"
        "with bentoml.SyncHTTPClient(sys.argv[1]) as client:\n"
        "    print(json.dumps(getattr(client, sys.argv[2])(json.loads(sys.argv[3]))))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, served.url, call, json.dumps(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.splitlines()[-1]


def test_a_client_made_by_bentoml_may_name_the_argument(served: Served) -> None:
    code = (
        "import bentoml, json, sys\n"
        "with bentoml.SyncHTTPClient(sys.argv[1]) as client:\n"
        "    one = json.loads(sys.argv[2])\n"
        "    print(client.predict(application=one)['decision'])\n"
        "    print(len(client.predict_batch(applications=[one, one])['results']))"
    )
    application = json.dumps(served.case("decline"))
    command = [sys.executable, "-W", "ignore", "-c", code, served.url, application]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["decline", "2"], done.stderr


def test_a_client_made_by_bentoml_gets_what_http_gives(served: Served) -> None:
    application = served.case("decline")
    answer = by_client(served, "predict", application)
    recorded = served.ask("GET", f"predictions/{answer['prediction_id']}")
    assert answer["default_probability"] == recorded["default_probability"]
    explanation = by_client(served, "explain", application)
    assert explanation["default_probability"] == answer["default_probability"]
    rows = by_client(served, "predict_batch", [application, {}])["results"]
    assert rows[0]["decision"]["default_probability"] == answer["default_probability"]
    assert {error["field"] for error in rows[1]["errors"]} >= {"income", "loan_amount"}


def test_a_client_made_by_bentoml_is_told_what_is_wrong(served: Served) -> None:
    assert "income is required" in by_client(served, "predict", {})


def test_a_client_made_by_bentoml_can_override(served: Served) -> None:
    prediction = by_client(served, "predict", served.case("refer"))["prediction_id"]
    wish = {"decision": "approve", "reason": "Known", "author": "A. Officer"}
    entry = by_client(served, "overrides", {"prediction_id": prediction, **wish})
    assert entry["refers_to"] == prediction


def test_metrics_are_those_of_the_service_and_of_bentoml(served: Served) -> None:
    served.ask("POST", "predict", json=served.case("approve"))
    httpx.get(f"{served.url}schema.json")
    text = httpx.get(f"{served.url}metrics").text
    for name in (
        'credit_decisions_total{decision="approve"}',
        'credit_requests_total{endpoint="/predict",status="200"}',
        'credit_request_seconds_bucket{endpoint="/predict"',
        "credit_default_probability_bucket",
        "credit_ledger_lag_seconds",
        "credit_ledger_up 1.0",
        "credit_ready 1.0",
        "bentoml_service_request_total",
    ):
        assert name in text


def test_nothing_of_an_application_stands_in_the_log(served: Served, folder: Path) -> None:
    httpx.post(f"{served.url}predict", json={"loan_purpose": "a secret of the applicant"})
    assert "secret" not in (folder / "service.log").read_text()


def test_a_recorded_decision_replays(served: Served, folder: Path) -> None:
    answer = served.ask("POST", "predict", json=served.case("decline"))
    command = [
        sys.executable,
        "-m",
        "service.replay",
        "--database",
        f"sqlite:///{folder}/ledger.db",
    ]
    done = subprocess.run(
        [*command, answer["prediction_id"]],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_many_clients_lose_nothing(served: Served, folder: Path) -> None:
    ledger = Ledger(f"sqlite:///{folder}/ledger.db", LONG_DEADLINE)
    before = ledger.head().sequence
    supervisor = psutil.Process(served.supervisor.pid)
    pids = {supervisor.pid, *(child.pid for child in supervisor.children(recursive=True))}
    workers = [
        p
        for p in psutil.process_iter(["cmdline"])
        if p.pid in pids  # others may serve at the same time
        and "service.service:CreditPD" in (p.info["cmdline"] or ())  # none while a process ends
    ]
    worker = max(workers, key=lambda process: process.memory_info().rss)
    requests = [request_of(json.dumps(case["application"]).encode()) for case in served.golden]
    warm = asyncio.run(load(served.url, requests, SECONDS / 4))
    memory = worker.memory_info().rss
    answers = warm + asyncio.run(load(served.url, requests, SECONDS * 3 / 4))
    grown = worker.memory_info().rss - memory
    assert answers
    entries = ledger.after(before, len(answers) + 1)
    ledger.close()
    assert sorted(entry.id for entry in entries) == sorted(answers)
    assert verify(ledger.engine).total == 0
    assert grown < 30 << 20


async def load(url: str, requests: list[bytes], seconds: float) -> list[str]:
    """The ids of what many clients were answered; an answer is a 200, or a refusal to try again."""
    cases, until = itertools.cycle(requests), perf_counter() + seconds
    ids: list[str] = []

    class Checked(Client):
        def take_answer(self, head: bytes, body: bytes) -> None:
            if head.startswith(b"HTTP/1.1 503"):
                assert b"retry-after: " in head.lower()
                return
            assert head.startswith(b"HTTP/1.1 200"), body
            ids.append(json.loads(body)["prediction_id"])

    clients = await connect(
        int(url.strip("/").split(":")[-1]), CLIENTS, lambda: Checked(cases, until)
    )
    assert not any(client.errors for client in clients)
    return ids


def ask_until_refused(served: Served, keep: bool, end: float) -> list[str]:
    """Ask again and again until nobody listens any more; return what was not an answer."""
    broken = []
    case = served.golden[0]["application"]
    application = {name: value for name, value in case.items() if value is not None}
    with httpx.Client(timeout=10) as client:
        while perf_counter() < end:
            try:
                ask = client.post if keep else httpx.post
                status = ask(f"{served.url}predict", json=application).status_code
                broken += [] if status in (200, 503) else [str(status)]
            except httpx.ConnectError:
                return broken
            except httpx.TransportError as error:
                broken.append(repr(error))
    return [*broken, "the service listens still"]


def test_a_service_that_is_stopped_under_load_answers_every_request(folder: Path) -> None:
    with serve(folder) as running, ThreadPoolExecutor(16) as clients:
        end = perf_counter() + 60
        asked = [clients.submit(ask_until_refused, running, n % 2 == 0, end) for n in range(16)]
        time.sleep(2)
        running.supervisor.terminate()
        assert [each.result() for each in asked] == [[]] * 16
        assert running.supervisor.wait(30) == 0


def lives(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether the service is up, ready or not."""
    assert process.poll() is None
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}livez").status_code == httpx.codes.OK
    return False


def test_without_a_model_the_service_lives_and_is_not_ready(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_parts, "ready", lives)
    (tmp_path / "params.yaml").write_bytes((folder / "params.yaml").read_bytes())
    (tmp_path / "models").mkdir()
    (tmp_path / "models/golden.jsonl").write_bytes((folder / "models/golden.jsonl").read_bytes())
    with serve(tmp_path) as running:
        for path in ("readyz", "model-info"):
            answer = httpx.get(f"{running.url}{path}")
            assert answer.status_code == 503
            assert "winner.json is missing" in answer.text
        answer = httpx.post(f"{running.url}predict", json=running.golden[0]["application"])
        assert answer.status_code == 503


def test_with_an_altered_model_the_service_lives_and_says_so_in_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_parts, "ready", lives)
    (tmp_path / "params.yaml").write_bytes((folder / "params.yaml").read_bytes())
    (tmp_path / "models").mkdir()
    contents = {path: (folder / path).read_bytes() for path in hashes.FILES}
    for path, content in contents.items():
        (tmp_path / path).write_bytes(content)
    (tmp_path / hashes.MANIFEST).write_text(hashes.manifest(contents))
    altered = bytearray(contents[hashes.WINNER])
    altered[len(altered) // 2] ^= 1
    (tmp_path / hashes.WINNER).write_bytes(altered)
    problem = "models/winner.json is not the file that models/manifest.json states; "
    with serve(tmp_path) as running:
        answer = httpx.get(f"{running.url}readyz")
        assert (answer.status_code, problem in answer.text) == (503, True)
        assert httpx.get(f"{running.url}livez").status_code == 200
        log = (tmp_path / "service.log").read_text()
    assert log.count(f"service: not ready: {problem}") == 1
    assert "Traceback" not in log


def test_keys_come_from_the_environment(folder: Path) -> None:
    digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    environment: dict[str, Any] = {"CREDIT_PD_API_KEYS": digest}
    with serve(folder, key="secret", **environment) as running:
        assert running.ask("GET", "model-info")["golden"]["identical"]
        assert httpx.get(f"{running.url}model-info").status_code == 401
