"""The stack of release/deploy/compose/compose.yaml, up and answering."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.deploy.host import probe
from service.transparency.verify_receipt import Key, verify
from stages.policy.decisions import DECISIONS

from .built import Built, build
from .engine import Engine
from .processes import wait_until
from .stack import FILE, KEY, Stack, running

pytestmark = pytest.mark.e2e

ONCE = "schema"  # creates the tables and accounts, and ends

VARIABLES = (
    *("CREDIT_PD_IMAGE", "CREDIT_PD_API_KEYS", "SECRETS"),
    *("POSTGRES_PASSWORD", "WRITER_PASSWORD", "SIGNER_PASSWORD"),
    *("AUDITOR_PASSWORD", "ERASER_PASSWORD", "MONITOR_PASSWORD"),
)


@pytest.fixture(scope="module")
def built(engine: Engine, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(engine, base_image, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def stack(
    engine: Engine, base_image: str, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with running(engine, base_image, built.image, folder) as stack:
        wait_until(lambda: probe.is_ready(stack.front), 180, "the stack's readiness")
        yield stack


@pytest.fixture(scope="module")
def records(built: Built) -> list[dict[str, Any]]:
    lines = (built.checkout / "models/golden.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def ask(stack: Stack, application: dict[str, Any]) -> dict[str, Any]:
    """What the front answers to one application."""
    return post(stack, application, {})[1]


def post(
    stack: Stack, application: dict[str, Any], headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """The status and the content of the front's answer to one application."""
    connection = HTTPConnection(stack.front, timeout=30)
    body = json.dumps(application)
    headers = {"content-type": "application/json", "x-api-key": KEY, **headers}
    connection.request("POST", "/predict", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if answer.status == 200 else {}


def test_golden_records_score_identically_through_the_front(
    stack: Stack, records: list[dict[str, Any]]
) -> None:
    for record in records[:10]:
        answer = ask(stack, record["application"])
        assert answer["default_probability"] == record["default_probability"]
        assert answer["decision"] in DECISIONS


def test_a_decision_is_signed_and_witnessed_within_seconds(
    stack: Stack, records: list[dict[str, Any]]
) -> None:
    identifier = ask(stack, records[1]["application"])["prediction_id"]
    folder = Path(stack.environment["SECRETS"])
    log, *witnesses = (
        Key.parse((folder / f"{name}_key.pub").read_text())
        for name in ("log", "witness_a", "witness_b")
    )

    def witnessed() -> bool:
        connection = HTTPConnection(stack.front, timeout=10)
        connection.request("GET", f"/predictions/{identifier}/receipt", headers={"x-api-key": KEY})
        answer = connection.getresponse()
        receipt = json.loads(answer.read())
        connection.close()
        return answer.status == 200 and verify(receipt, log, witnesses)["id"] == identifier

    wait_until(witnessed, 60, "a receipt with two cosignatures")


def test_decisions_are_in_postgresql_and_survive_a_restart(
    stack: Stack, records: list[dict[str, Any]]
) -> None:
    identifier = ask(stack, records[0]["application"])["prediction_id"]
    stack.compose("restart", "--timeout", "20", "postgres", "service")
    wait_until(lambda: probe.is_ready(stack.front), 180, "the stack's return")
    psql = ("psql", "--host=/run/postgresql", "--username=credit_pd", "--tuples-only", "-c")
    assert identifier in stack.compose(
        "exec", "-T", "postgres", *psql, "SELECT id FROM ledger_entries"
    )


def replicas(stack: Stack) -> list[str]:
    """The containers of the service."""
    return stack.compose("ps", "--quiet", "service").split()


@pytest.fixture
def two_replicas(stack: Stack) -> Iterator[None]:
    """Two containers of the service behind the proxy, which knows both; then one again."""
    scale = ("up", "--detach", "--no-recreate", "--no-deps", "--scale")
    stack.compose(*scale, "service=2", "service")
    wait_until(lambda: scraped(stack) == ["1", "1"], 180, "the readiness of both containers")
    yield
    stack.compose(*scale, "service=1", "service")


def scraped(stack: Stack) -> list[str]:
    """What Prometheus read of the readiness of each container."""
    samples = ask_for_data(stack.port("prometheus"), "/api/v1/query?query=credit_ready")["result"]
    return [sample["value"][1] for sample in samples]


@pytest.mark.usefixtures("two_replicas")
def test_nobody_notices_that_one_of_two_containers_is_killed_under_load(
    stack: Stack, engine: Engine, records: list[dict[str, Any]]
) -> None:
    until = time.monotonic() + 30
    answers: list[tuple[str, int, str]] = []

    def client(number: int) -> None:
        while time.monotonic() < until:
            key = f"{number}-{len(answers)}-{time.monotonic_ns()}"
            record = records[number % len(records)]["application"]
            status, answer = post(stack, record, {"idempotency-key": key})
            answers.append((key, status, answer.get("prediction_id", "")))

    with ThreadPoolExecutor(8) as clients:
        asking = [clients.submit(client, number) for number in range(8)]
        time.sleep(8)
        victim = replicas(stack)[0]
        process = engine.run("inspect", "--format", "{{.State.Pid}}", victim).strip()
        os.kill(int(process), signal.SIGKILL)
        for each in asking:
            each.result()
    assert {status for _, status, _ in answers} == {200}
    identifiers = [prediction for *_, prediction in answers]
    assert len(set(identifiers)) == len(identifiers) > 100
    psql = ("psql", "--host=/run/postgresql", "--username=credit_pd", "--tuples-only", "-c")
    kept = stack.compose("exec", "-T", "postgres", *psql, "SELECT id FROM ledger_entries").split()
    assert [kept.count(each) for each in identifiers] == [1] * len(identifiers)
    wait_until(lambda: scraped(stack) == ["1", "1"], 180, "the return of the container")


def test_metrics_are_hidden_and_large_bodies_refused(stack: Stack) -> None:
    assert probe.get(stack.front, "/metrics")[0] == 404
    connection = HTTPConnection(stack.front, timeout=10)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", str(2**20 + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_every_part_reports_its_health(stack: Stack, engine: Engine) -> None:
    form = '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Health.Status}}'
    lasting = sorted(set(stack.services) - {ONCE})
    numbers = stack.compose("ps", "--quiet", *lasting).split()

    def healthy() -> bool:
        states = engine.run("inspect", "--format", form, *numbers)
        return sorted(states.splitlines()) == [f"{name} healthy" for name in lasting]

    wait_until(healthy, 60, "the health of every part")
    once = stack.compose("ps", "--all", "--quiet", ONCE).strip()
    ended = engine.run("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", once)
    assert ended.strip() == "exited 0"


def ask_for_data(address: str, path: str) -> Any:
    """The JSON that a part of the monitoring answers."""
    connection = HTTPConnection(address, timeout=10)
    connection.request("GET", path)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["data"] if isinstance(answer, dict) and "data" in answer else answer


def test_prometheus_reads_the_service_by_its_key_and_knows_alertmanager(stack: Stack) -> None:
    wait_until(lambda: "1" in scraped(stack), 90, "the first reading of the metrics")
    known = ask_for_data(stack.port("prometheus"), "/api/v1/alertmanagers")["activeAlertmanagers"]
    assert [alertmanager["url"] for alertmanager in known] == [
        "http://alertmanager:9093/api/v2/alerts"
    ]


def test_alertmanager_routes_as_it_is_told(stack: Stack) -> None:
    receivers = ask_for_data(stack.port("alertmanager"), "/api/v2/receivers")
    assert {receiver["name"] for receiver in receivers} == {"slack", "slack-and-mail"}


def test_what_is_published_is_published_on_loopback_only(stack: Stack, engine: Engine) -> None:
    numbers = stack.compose("ps", "--all", "--quiet").split()
    listed = [json.loads(engine.run("inspect", number))[0] for number in numbers]
    bindings = [each["HostConfig"]["PortBindings"] or {} for each in listed]
    hosts = [
        binding["HostIp"]
        for ports in bindings
        for published in ports.values()
        for binding in published
    ]
    assert set(hosts) == {"127.0.0.1"}
    inside = {"postgres", "schema", "service", "monitor", "log", "verifier"}
    inside |= {"witness-a", "witness-b"}
    assert len(hosts) == len(set(stack.services) - inside)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_is_not_set_is_named(stack: Stack, name: str) -> None:
    environment = {**stack.environment}
    del environment[name]
    complaint = Stack(stack.front, stack.project, environment).compose("config", check=False)
    assert f"set {name}" in complaint


def test_every_part_is_confined() -> None:
    for name, service in yaml.safe_load(FILE.read_text())["services"].items():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges"]
        assert service["restart"] == ("on-failure" if name == ONCE else "unless-stopped")
        assert name == ONCE or service["healthcheck"]
