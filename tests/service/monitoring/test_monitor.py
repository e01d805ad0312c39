"""The monitor on a real ledger: what it reports, which incidents it opens, and whom it tells."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from service.api.drafts import decision_content
from service.ledger import Ledger, draft
from service.monitoring import outcomes, realised_performance, retraining
from service.monitoring.monitor import LedgerMonitor, start_monitor
from service.monitoring.realised_performance import MatureOutcomes
from stages import evaluate
from tests.support.books import ROOT, Project, book
from tests.support.fakes import github_fake
from tests.support.fakes.github_fake import Failure, GitHubFake

ROWS = 100


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained project with its reference; not to be changed."""
    settings = {"every": 100, "windows": [ROWS], "min_group": 10, "lowest_approval_ratio": 0.5}
    changes = {f"monitor__{name}": value for name, value in settings.items()}
    project = Project(tmp_path_factory.mktemp("watched"), candidates=["logistic"], **changes)
    project.write(book(3000, seed=8)).run("preprocess", "featurize", "logistic")
    with contextlib.chdir(project.folder):
        evaluate.main()
    return project.folder


@pytest.fixture
def monitor(root: Path, ledger: Ledger) -> LedgerMonitor:
    ledger.prepare()
    return LedgerMonitor(root, ledger)


def decide(
    monitor: LedgerMonitor, root: Path, factor: float = 1.0, rows: int = ROWS, share: float = 1.0
) -> None:
    """Record decisions about the `share` of rows with the largest amounts, times a factor."""
    columns = train(root)
    largest = np.argsort(columns["amount"])[::-1][: round(share * len(columns["amount"]))]
    picked = np.random.default_rng(rows).choice(np.sort(largest), rows)
    drafts = []
    for i in picked:
        application = {name: values[i] for name, values in columns.items()}
        application["amount"] *= factor
        decision = monitor.engine.decide_matrix(monitor.engine.matrix(application))[0]
        drafts.append(draft("decision", decision_content(decision) | {"application": application}))
    monitor.ledger.append_many(drafts)


def train(root: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pq.read_table(root / "data/small/prepared/train.parquet").to_pydict()
    wanted = ("amount", "months", "purpose", "insured", "income", "branch", "sex")
    return {name: [None if v != v else v for v in table[name]] for name in wanted}  # noqa: PLR0124


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a webhook on loopback is told."""
    messages: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(
                json.loads(self.rfile.read(int(self.headers["content-length"])))["text"]
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/")
    yield messages
    server.shutdown()
    server.server_close()


def test_undrifted_decisions_are_reported_quiet(monitor: LedgerMonitor, root: Path) -> None:
    decide(monitor, root)
    (report,) = monitor.report_due_windows()
    assert report["loudest"] == "quiet"
    assert report["expected"]["roc_auc"]["low"] < report["expected"]["roc_auc"]["high"]
    assert set(report["groups"]["sex"]) >= {"F", "M"}


def test_a_monitor_that_may_not_compare_groups_says_so(
    root: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.prepare()
    start_monitor(root, ledger)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("service.monitoring.monitor.may_read_protected", lambda connection: False)
    start_monitor(root, ledger)
    assert "has the role ledger_monitor" in capsys.readouterr().err


def test_a_window_is_reported_once_until_enough_decisions_are_new(
    monitor: LedgerMonitor, root: Path
) -> None:
    decide(monitor, root)
    assert len(monitor.report_due_windows()) == 1
    assert monitor.report_due_windows() == []


def test_a_scheduled_run_reports_about_all_new_decisions(
    monitor: LedgerMonitor, root: Path
) -> None:
    decide(monitor, root)
    monitor.report_due_windows()
    decide(monitor, root, rows=5)
    assert len(monitor.report_due_windows(every=1)) == 1
    assert monitor.report_due_windows(every=1) == []


def test_the_command_prints_its_findings(
    monitor: LedgerMonitor, root: Path, tmp_path: Path
) -> None:
    decide(monitor, root, factor=0.05)
    url = monitor.ledger.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "service.monitoring", "--root", str(root)]
    done = subprocess.run(
        command, env=os.environ | {"DATABASE_URL": url}, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("last 100 decisions: alarm.")
    assert "alarm    amount: its distribution moved" in done.stdout


def test_too_few_decisions_are_not_judged(monitor: LedgerMonitor, root: Path) -> None:
    decide(monitor, root, rows=50)
    assert monitor.report_due_windows() == []


def test_a_drift_opens_one_incident_for_its_field_and_recovery_closes_it(
    monitor: LedgerMonitor, root: Path, slack: list[str]
) -> None:
    decide(monitor, root, factor=0.05)
    monitor.report_due_windows()
    decide(monitor, root, factor=0.05)
    monitor.report_due_windows()
    opened = [i["words"] for i in monitor.reports.open_incidents()]
    assert sum(words.startswith("amount:") for words in opened) == 1
    decide(monitor, root)
    monitor.report_due_windows()
    assert monitor.reports.open_incidents() == []
    assert sum("ALARM amount:" in text for text in slack) == 1
    assert sum("RESOLVED amount:" in text for text in slack) == 1


def test_an_unreachable_receiver_does_not_stop_the_monitor(
    monitor: LedgerMonitor,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK", "http://127.0.0.1:9/")
    decide(monitor, root, factor=0.05)
    assert monitor.report_due_windows()[0]["loudest"] == "alarm"
    assert "ALERT_WEBHOOK" in capsys.readouterr().err


def test_reports_are_kept_whole_and_listed_newest_first(monitor: LedgerMonitor, root: Path) -> None:
    for _ in range(3):
        decide(monitor, root)
        monitor.report_due_windows()
    newest = monitor.reports.recent(2)
    assert [r["id"] for r in newest] == [3, 2]
    assert monitor.reports.get(3) == newest[0]
    assert [r["id"] for r in monitor.reports.recent(5, before=2)] == [1]
    assert monitor.reports.get(99) is None


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GitHubFake]:
    """A repository whose retraining may be started."""
    (tmp_path / "token").write_text("secret\n")
    with github_fake.github() as server:
        monkeypatch.setenv("GITHUB_API_URL", server.url)
        monkeypatch.setenv("RETRAIN_REPOSITORY", "lender/credit")
        monkeypatch.setenv("RETRAIN_TOKEN_FILE", str(tmp_path / "token"))
        yield server


def seen(monitor: LedgerMonitor, root: Path, **shift: float) -> list[str]:
    """The open incidents after a window with such a shift."""
    decide(monitor, root, **shift)
    monitor.report_due_windows()
    return [f"{i['key']} {i['words']}" for i in monitor.reports.open_incidents()]


def test_drift_that_moves_the_score_starts_the_retraining_once(
    monitor: LedgerMonitor, root: Path, github: GitHubFake, slack: list[str]
) -> None:
    seen(monitor, root, share=0.2)
    opened = seen(monitor, root, share=0.2)
    [event] = github.events
    assert event["event_type"] == "drift"
    assert "amount" in event["client_payload"]["fields"]
    assert any(
        incident.startswith("retrain/challenger challenger: the retraining") for incident in opened
    )
    assert sum("retraining was started in lender/credit" in text for text in slack) == 1


def test_after_a_recovery_the_next_drift_starts_it_again(
    monitor: LedgerMonitor, root: Path, github: GitHubFake
) -> None:
    for share in (0.2, 1.0, 0.2):
        seen(monitor, root, share=share)
    assert len(github.events) == 2


def test_decisions_without_drift_start_no_retraining(
    monitor: LedgerMonitor, root: Path, github: GitHubFake
) -> None:
    assert seen(monitor, root) == []
    assert github.requests == []


def test_a_retraining_that_cannot_be_started_is_an_incident_and_is_tried_again(
    monitor: LedgerMonitor, root: Path, github: GitHubFake
) -> None:
    github.failures = [Failure(500)]
    opened = seen(monitor, root, share=0.2)
    assert any("was not started: GitHub answered 500" in incident for incident in opened)
    opened = seen(monitor, root, share=0.2)
    assert not any("was not started" in incident for incident in opened)
    assert len(github.events) == 1


def test_a_missing_token_is_an_incident_and_no_failure(
    monitor: LedgerMonitor, root: Path, github: GitHubFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETRAIN_TOKEN_FILE")
    opened = seen(monitor, root, share=0.2)
    assert any("RETRAIN_TOKEN_FILE must name a file" in incident for incident in opened)


def test_the_token_follows_no_redirect(
    monitor: LedgerMonitor, root: Path, github: GitHubFake
) -> None:
    github.failures = [Failure(307, {"Location": f"{github.url}/elsewhere"})]
    opened = seen(monitor, root, share=0.2)
    assert any("GitHub answered 307" in incident for incident in opened)
    assert not any("elsewhere" in request for request in github.requests)


def test_lower_performance_starts_the_retraining(
    monitor: LedgerMonitor, root: Path, github: GitHubFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, rows = np.random.default_rng(0), 2000
    ripe = MatureOutcomes(
        recorded=rows,
        day=np.full(rows, np.datetime64("2025-01-01")),
        pd=rng.uniform(0.01, 0.9, rows),
        bad=rng.integers(0, 2, rows),
        rating=np.full(rows, "C"),
        model=np.full(rows, monitor.model),
        decision=np.full(rows, "approve"),
        margin=np.full(rows, np.nan),
        loss=np.full(rows, np.nan),
    )
    monkeypatch.setattr(realised_performance, "mature_outcomes", lambda *_: ripe)
    opened = seen(monitor, root)
    assert [event["client_payload"]["fields"] for event in github.events] == [["roc_auc"]]
    assert opened[0].startswith("100/roc_auc roc_auc: 0.4"), opened


def test_outcomes_are_evaluated_again_only_when_there_are_more(
    monitor: LedgerMonitor, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    real = realised_performance.mature_outcomes
    monkeypatch.setattr(
        realised_performance, "mature_outcomes", lambda *given: asked.append(given) or real(*given)
    )
    for _ in range(2):
        seen(monitor, root)
    assert len(asked) == 1
    which = monitor.ledger.recent(1).records[0].entry.id
    today = datetime.now(UTC).date()
    outcomes.record(monitor.ledger, [{"prediction_id": which, "bad": 0, "date": str(today)}])
    seen(monitor, root)
    assert len(asked) == 2


def test_outcomes_of_another_model_are_not_counted(monitor: LedgerMonitor, root: Path) -> None:
    one = np.array([0, 1])
    other = MatureOutcomes(
        2,
        one.astype("datetime64[D]"),
        1 - one * 0.9,
        one,
        *(one.astype(str) for _ in range(3)),
        *(np.full(2, np.nan) for _ in range(2)),
    )
    assert monitor.find_fall(other) is None


def test_the_workflow_starts_on_the_event_that_is_sent() -> None:
    text = (ROOT / ".github/workflows/retrain.yml").read_text()
    workflow = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - `on` is no boolean
    assert retraining.EVENT in workflow["on"]["repository_dispatch"]["types"]


def test_a_drift_in_several_windows_is_announced_once(monitor: LedgerMonitor) -> None:
    finding = {"field": "income", "words": "moved", "loudness": "alarm", "value": 1.0}
    settled = [monitor.reports.settle(window, [finding], "t") for window in ("100", "1000")]
    assert [len(opened) for opened, _ in settled] == [1, 0]
    over = [monitor.reports.settle(window, [], "t") for window in ("100", "1000")]
    assert [len(closed) for _, closed in over] == [0, 1]
