"""Rules, dashboard, and the way of an alert through the real Prometheus and Alertmanager."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.metrics import MetricWrapperBase

from service import figures

from .processes import ROOT, free_port, spawn, stop, tool, wait_until
from .sinks import Mail, Webhook, running

PARTS = ROOT / "service/prometheus"
PATIENCE = 60
OURS = re.compile(r"\b(?:credit_\w+|job\w*:\w+:\w+)")
LABELS = re.compile(r"\{[^}]*\}|by \([^)]*\)")


def told(*command: str) -> str:
    done = subprocess.run(command, cwd=PARTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PARTS / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> list[str]:
    panels = json.loads((PARTS / "grafana.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def exported() -> set[str]:
    """Names under which Prometheus sees the metrics of the service."""
    ends = {
        "counter": ["_total"],
        "histogram": ["_bucket", "_sum", "_count"],
        "gauge": [""],
    }
    described = [
        own.describe()[0] for own in vars(figures).values() if isinstance(own, MetricWrapperBase)
    ]
    return {f"{metric.name}{end}" for metric in described for end in ends[metric.type]}


def used(expression: str) -> set[str]:
    return set(OURS.findall(LABELS.sub("", expression)))


@pytest.mark.parametrize("source", ["rules", "dashboard"])
def test_every_metric_in_use_is_exported_by_the_service_or_defined_by_a_rule(source: str) -> None:
    expressions = dashboard() if source == "dashboard" else [rule["expr"] for rule in rules()]
    known = exported() | {rule["record"] for rule in rules() if "record" in rule}
    assert set().union(*map(used, expressions)) - known == set()


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert all(set(a["annotations"]) == {"summary", "description", "action"} for a in alerts)
    assert {a["labels"]["severity"] for a in alerts} == {"critical", "warning"}


def test_every_alert_is_proven_to_fire_and_to_stay_quiet() -> None:
    tests = yaml.safe_load((PARTS / "rules_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules() if "alert" in rule}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


@pytest.mark.e2e
def test_the_rules_fire_and_stay_quiet_as_they_should() -> None:
    assert "SUCCESS" in told(tool("promtool"), "test", "rules", "rules_test.yml")


@pytest.mark.e2e
def test_a_rule_that_is_too_deaf_fails_its_tests(tmp_path: Path) -> None:
    folder = shutil.copytree(PARTS, tmp_path / "prometheus")
    text = (folder / "rules.yml").read_text()
    (folder / "rules.yml").write_text(text.replace(">= 0.25", ">= 2.5"))
    command = [tool("promtool"), "test", "rules", str(folder / "rules_test.yml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


@pytest.mark.e2e
def test_the_configurations_are_valid() -> None:
    told(tool("promtool"), "check", "config", "prometheus.yml")
    told(tool("amtool"), "check-config", "alertmanager.yml")


@pytest.mark.e2e
def test_prometheus_can_read_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    own = [{"record": f"panel:{i}", "expr": expr} for i, expr in enumerate(dashboard())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": own}]}))
    told(tool("promtool"), "check", "rules", str(file))


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("severity", "receiver"), [("critical", "slack-and-mail"), ("warning", "slack")]
)
def test_critical_alerts_go_to_mail_as_well(severity: str, receiver: str) -> None:
    command = ["config", "routes", "test", "--config.file=alertmanager.yml"]
    answer = told(tool("amtool"), *command, f"severity={severity}", "job=credit-pd")
    assert answer.strip() == receiver


@dataclass
class Stack:
    """A running Prometheus and Alertmanager, what they watch, and where their alerts arrive."""

    psi: Gauge
    webhook: Webhook
    mail: Mail

    def said(self) -> str:
        """All that Slack was told."""
        return json.dumps(self.webhook.received)

    def mailed(self) -> str:
        bodies = [m.get_body(("plain",)) for m in self.mail.received]
        return "\n".join(body.get_content() for body in bodies if body)


@contextlib.contextmanager
def watched() -> Iterator[tuple[int, Gauge]]:
    """Metrics of a service with nothing wrong: the port and the PSI that can be set."""
    registry = CollectorRegistry()
    values = {"credit_ready": 1.0, "credit_ledger_up": 1.0, "credit_open_incidents": 0.0}
    for name, value in values.items():
        Gauge(name, name, registry=registry).set(value)
    bound = Gauge("credit_drift_bound", "bound", ["field", "window"], registry=registry)
    psi = Gauge("credit_drift_psi", "psi", ["field", "window"], registry=registry)
    for field in ("income", "score"):
        bound.labels(field, "1000").set(0.03)
        psi.labels(field, "1000").set(0.01)
    port = free_port()
    server, thread = start_http_server(port, "127.0.0.1", registry)
    yield port, psi
    server.shutdown()
    thread.join()
    server.server_close()


def hurried(name: str, changes: dict[str, str]) -> str:
    """A configuration as it is shipped, but for `changes`, each of which must be found in it."""
    text = (PARTS / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


def configured(folder: Path, service: int, alertmanager: int, webhook: str, smtp: int) -> None:
    shutil.copytree(PARTS, folder, dirs_exist_ok=True)
    secrets = {"slack_url": webhook, "smtp_password": "swordfish"}
    for name, content in secrets.items():
        (folder / name).write_text(content)
    fast = {
        "/run/secrets": str(folder),
        "smtp.example.com:587": f"127.0.0.1:{smtp}",
        "smtp_require_tls: true": "smtp_require_tls: false",
        "group_wait: 15s": "group_wait: 1s",
        "group_interval: 1m": "group_interval: 1s",
    }
    (folder / "alertmanager.yml").write_text(hurried("alertmanager.yml", fast))
    fast = {
        "15s": "1s",
        "service:3000": f"127.0.0.1:{service}",
        "alertmanager:9093": f"127.0.0.1:{alertmanager}",
    }
    (folder / "prometheus.yml").write_text(hurried("prometheus.yml", fast))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    programs = tool("prometheus"), tool("prometheus-alertmanager")
    webhook, mail, ports = Webhook(), Mail(), (free_port(), free_port())
    with contextlib.ExitStack() as parts:
        parts.enter_context(running(webhook))
        parts.enter_context(running(mail))
        service, psi = parts.enter_context(watched())
        configured(tmp_path, service, ports[0], webhook.url, mail.port)
        alertmanager = [
            programs[1],
            f"--config.file={tmp_path}/alertmanager.yml",
            f"--storage.path={tmp_path}/alertmanager",
            f"--web.listen-address=127.0.0.1:{ports[0]}",
            "--cluster.listen-address=",
        ]
        prometheus = [
            programs[0],
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/prometheus",
            f"--web.listen-address=127.0.0.1:{ports[1]}",
        ]
        for command in (alertmanager, prometheus):
            process = spawn(command, tmp_path / f"{Path(command[0]).name}.log")
            parts.callback(stop, process)
        yield Stack(psi, webhook, mail)


@pytest.mark.e2e
def test_drift_reaches_slack_and_mail_and_its_end_is_told(stack: Stack) -> None:
    stack.psi.labels("income", "1000").set(0.6)
    wait_until(lambda: stack.mail.received and stack.webhook.received, PATIENCE, "an alert")
    assert "CRITICAL income drifted. Its PSI against the training data is 0.60." in stack.mailed()
    assert "CRITICAL: income drifted" in stack.said()
    assert stack.mail.logins[0][1:] == ["credit-pd@example.com", "swordfish"]
    assert "score" not in stack.mailed()

    stack.psi.labels("income", "1000").set(0.01)
    wait_until(lambda: "RESOLVED" in stack.mailed(), PATIENCE, "the recovery in the mail")
    wait_until(lambda: "RESOLVED: income drifted" in stack.said(), PATIENCE, "it in the webhook")
