"""Rules, dashboard, and the way of an alert from live traffic to Slack and to mail."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from service.api import metrics

from .processes import ROOT, free_port, spawn, stop, tool, wait_until
from .served import Served, loan_book, serve
from .sinks import Mail, Webhook, running

PARTS = ROOT / "release/deploy/compose"
RULES = PARTS / "prometheus/rules.yml"
PATIENCE = 60
KEY = "the key of Prometheus"
NO_OUTCOMES = "max(credit_realised_roc_auc) > 0"  # decisions of today are not mature
OURS = re.compile(r"\b(?:credit_\w+|job\w*:\w+:\w+)")
LABELS_OF_RULES = {"job", "field", "rule", "window", "endpoint", "decision"}
LABELS = re.compile(r"\{[^}]*\}|by \([^)]*\)")


def printed_by(*command: str) -> str:
    done = subprocess.run(command, cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def page() -> dict[str, Any]:
    return dict(json.loads((PARTS / "grafana/dashboards/credit-pd.json").read_text()))


def dashboard() -> list[str]:
    return [target["expr"] for panel in page()["panels"] for target in panel["targets"]]


def exported() -> set[str]:
    """Names under which Prometheus sees the metrics of the service."""
    ends = {
        "counter": ["_total"],
        "histogram": ["_bucket", "_sum", "_count"],
        "gauge": [""],
    }
    described = [
        collector.describe()[0]
        for collector in vars(metrics).values()
        if isinstance(collector, MetricWrapperBase)
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
    tests = yaml.safe_load((RULES.parent / "rules_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules() if "alert" in rule}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


@pytest.mark.e2e
def test_the_rules_fire_and_stay_quiet_as_they_should() -> None:
    assert "SUCCESS" in printed_by(tool("promtool"), "test", "rules", "rules_test.yml")


@pytest.mark.e2e
def test_a_rule_that_is_too_deaf_fails_its_tests(tmp_path: Path) -> None:
    folder = shutil.copytree(RULES.parent, tmp_path / "prometheus")
    text = (folder / "rules.yml").read_text()
    (folder / "rules.yml").write_text(text.replace(">= 0.25", ">= 2.5"))
    command = [tool("promtool"), "test", "rules", str(folder / "rules_test.yml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


@pytest.mark.e2e
def test_the_configurations_are_valid(tmp_path: Path) -> None:
    configured(tmp_path, 3000, (9093, 9090), "http://127.0.0.1:9", 25)
    printed_by(tool("promtool"), "check", "config", str(tmp_path / "prometheus/prometheus.yml"))
    printed_by(tool("amtool"), "check-config", "../alertmanager/alertmanager.yml")


def test_the_panels_of_the_dashboard_stand_beside_one_another() -> None:
    panels = page()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    areas = [
        (g["x"], g["y"], g["x"] + g["w"], g["y"] + g["h"]) for g in (p["gridPos"] for p in panels)
    ]
    assert max(right for _, _, right, _ in areas) == 24
    for (x, y, right, bottom), other in combinations(areas, 2):
        apart = other[0] >= right or other[2] <= x or other[1] >= bottom or other[3] <= y
        assert apart


def test_a_panel_has_a_title_a_known_kind_and_names_its_lines() -> None:
    variable = page()["templating"]["list"][0]["name"]
    for panel in page()["panels"]:
        assert panel["title"]
        assert panel["type"] in ("stat", "timeseries", "heatmap", "bargauge")
        assert panel["datasource"] == {"type": "prometheus", "uid": f"${{{variable}}}"}
        assert [t["refId"] for t in panel["targets"]] == list("AB"[: len(panel["targets"])])
        wanted = {w for t in panel["targets"] for w in re.findall(r"{{(\w+)}}", t["legendFormat"])}
        assert all(
            wanted <= set(re.findall(r"\w+", t["expr"])) | LABELS_OF_RULES for t in panel["targets"]
        )


def test_grafana_is_told_where_prometheus_and_the_dashboard_are() -> None:
    mounted = yaml.safe_load((PARTS / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    assert "./grafana:/etc/grafana/provisioning:ro" in mounted
    source = yaml.safe_load((PARTS / "grafana/datasources/prometheus.yaml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    provider = yaml.safe_load((PARTS / "grafana/dashboards/provider.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] == "/etc/grafana/provisioning/dashboards"


@pytest.mark.e2e
def test_prometheus_can_read_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    panels = [{"record": f"panel:{i}", "expr": expr} for i, expr in enumerate(dashboard())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": panels}]}))
    printed_by(tool("promtool"), "check", "rules", str(file))


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("severity", "receiver"), [("critical", "slack-and-mail"), ("warning", "slack")]
)
def test_critical_alerts_go_to_mail_as_well(severity: str, receiver: str) -> None:
    command = ["config", "routes", "test", "--config.file=../alertmanager/alertmanager.yml"]
    answer = printed_by(tool("amtool"), *command, f"severity={severity}", "job=credit-pd")
    assert answer.strip() == receiver


def hurried(name: str, changes: dict[str, str]) -> str:
    """A configuration as it is shipped, but for `changes`, each of which must be found in it."""
    text = (PARTS / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


def configured(folder: Path, service: int, ports: tuple[int, int], webhook: str, smtp: int) -> None:
    """Write both configurations for loopback: `ports` of Alertmanager and Prometheus."""
    for part in ("alertmanager", "prometheus"):
        shutil.copytree(PARTS / part, folder / part)
    secrets = {"slack_url": webhook, "smtp_password": "swordfish", "api_key": KEY}
    for name, content in secrets.items():
        (folder / name).write_text(content)
    fast = {
        "/run/secrets": str(folder),
        "smtp.example.com:587": f"127.0.0.1:{smtp}",
        "smtp_require_tls: true": "smtp_require_tls: false",
        "group_wait: 15s": "group_wait: 1s",
        "group_interval: 1m": "group_interval: 1s",
    }
    settings = "alertmanager/alertmanager.yml"
    (folder / settings).write_text(hurried(settings, fast))
    fast = {
        "/run/secrets": str(folder),
        "dns_sd_configs:  # each container of the service": "static_configs:",
        "{names: [service], type: A, port: 3000, refresh_interval: 15s}": (
            f"targets: ['127.0.0.1:{service}']"
        ),
        "15s": "1s",
        "alertmanager:9093": f"127.0.0.1:{ports[0]}",
    }
    settings = "prometheus/prometheus.yml"
    (folder / settings).write_text(hurried(settings, fast))


@contextlib.contextmanager
def started(folder: Path, ports: tuple[int, int]) -> Iterator[None]:
    """Alertmanager and Prometheus as they are configured in `folder`."""
    commands = [
        [
            tool("prometheus-alertmanager"),
            f"--config.file={folder}/alertmanager/alertmanager.yml",
            f"--storage.path={folder}/alerts",
            f"--web.listen-address=127.0.0.1:{ports[0]}",
            "--cluster.listen-address=",
        ],
        [
            tool("prometheus"),
            f"--config.file={folder}/prometheus/prometheus.yml",
            f"--storage.tsdb.path={folder}/figures",
            f"--web.listen-address=127.0.0.1:{ports[1]}",
        ],
    ]
    with contextlib.ExitStack() as parts:
        for command in commands:
            process = spawn(command, folder / f"{Path(command[0]).name}.log")
            parts.callback(stop, process)
        yield


@dataclass
class Watched:
    """A running service with its Prometheus and Alertmanager, and where their alerts arrive."""

    served: Served
    folder: Path
    prometheus: str
    webhook: Webhook
    mail: Mail

    def traffic(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Three windows of applications from `service.traffic`."""
        command = [sys.executable, "-m", "service.traffic", "--url", self.served.url.rstrip("/")]
        command += ["--api-key", KEY, "--rate", "100", "--seconds", "3.2", *options]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def figure(self, expression: str) -> list[float]:
        """What an expression is now, the value of each series."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression})
        return [float(sample["value"][1]) for sample in answer.json()["data"]["result"]]

    def said(self) -> str:
        """All that Slack was told."""
        return json.dumps(self.webhook.received)

    def mailed(self) -> str:
        bodies = [m.get_body(("plain",)) for m in self.mail.received]
        return "\n".join(body.get_content() for body in bodies if body)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    tool("prometheus"), tool("prometheus-alertmanager")
    folder = loan_book(tmp_path_factory.mktemp("book"))
    config = yaml.safe_load((folder / "params.yaml").read_text())
    config["monitor"] |= {"every": 100, "windows": [100], "lowest_approval_ratio": 0.01}
    (folder / "params.yaml").write_text(yaml.safe_dump(config))
    webhook, mail, ports = Webhook(), Mail(), (free_port(), free_port())
    digest = sha256(KEY.encode()).hexdigest()
    with contextlib.ExitStack() as parts:
        parts.enter_context(running(webhook))
        parts.enter_context(running(mail))
        served = parts.enter_context(serve(folder, key=KEY, CREDIT_PD_API_KEYS=digest))
        working = tmp_path_factory.mktemp("watching")
        configured(working, httpx.URL(served.url).port or 0, ports, webhook.url, mail.port)
        parts.enter_context(started(working, ports))
        yield Watched(served, folder, f"http://127.0.0.1:{ports[1]}", webhook, mail)


@pytest.mark.e2e
def test_drift_in_live_traffic_reaches_slack_and_mail_and_its_end_is_reported(
    watched: Watched,
) -> None:
    watched.traffic()
    psi = 'credit_drift_psi{field="income"}'
    wait_until(lambda: watched.figure(psi), PATIENCE, "a report on undrifted traffic")
    assert "drifted" not in watched.said()

    watched.traffic("--drift", "income=0.1")
    wait_until(lambda: "income drifted" in watched.mailed(), PATIENCE, "the alert in the mail")
    assert "CRITICAL income drifted. Its PSI against the training data is" in watched.mailed()
    assert watched.mail.logins[0][1:] == ["credit-pd@example.com", "swordfish"]
    wait_until(lambda: "income drifted" in watched.said(), PATIENCE, "it in the webhook")
    assert watched.figure("credit_open_incidents")[0] > 0

    watched.traffic()
    wait_until(lambda: "RESOLVED income drifted" in watched.mailed(), PATIENCE, "the recovery")
    wait_until(lambda: "RESOLVED" in watched.said(), PATIENCE, "it in the webhook")


@pytest.mark.e2e
def test_every_panel_of_the_dashboard_shows_something_of_live_traffic(watched: Watched) -> None:
    done = watched.traffic("--drift", "loan_purpose=Rocket")
    assert "refused /predict 422" in done.stdout
    refused = 'credit_refused_fields_total{field="loan_purpose",rule="category"} > 0'
    wait_until(lambda: watched.figure(refused), PATIENCE, "the count of refused applications")
    watched.traffic("--seconds", "1")
    shown = set(dashboard()) - {NO_OUTCOMES}

    def empty() -> list[str]:
        return sorted(each for each in shown if not watched.figure(each))

    with contextlib.suppress(TimeoutError):
        wait_until(lambda: not empty(), PATIENCE, "data in every panel")
    assert empty() == []
    assert watched.figure(NO_OUTCOMES.removesuffix(" > 0")) == [0]
