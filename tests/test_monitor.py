"""The monitor on a real ledger: what it reports, which incidents it opens, and whom it tells."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.desk import content
from service.ledger import Ledger, draft
from service.ledger.schema import migrate
from service.monitor import Monitor
from stages import evaluate
from tests.books import Project, book

ROWS = 100


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained project with its reference; not to be changed."""
    own = {"every": 100, "windows": [ROWS], "min_group": 10, "lowest_approval_ratio": 0.5}
    changes = {f"monitor__{name}": value for name, value in own.items()}
    project = Project(tmp_path_factory.mktemp("watched"), candidates=["logistic"], **changes)
    project.write(book(3000, seed=8)).run("preprocess", "featurize", "logistic")
    with contextlib.chdir(project.folder):
        evaluate.main()
    return project.folder


@pytest.fixture
def monitor(root: Path, ledger: Ledger) -> Monitor:
    migrate(ledger.engine)
    return Monitor(root, ledger)


def decide(monitor: Monitor, root: Path, factor: float = 1.0, rows: int = ROWS) -> None:
    """Record decisions about rows of the training book, with amounts times a factor."""
    columns = train(root)
    picked = np.random.default_rng(rows).integers(0, len(columns["amount"]), rows)
    drafts = []
    for i in picked:
        application = {name: values[i] for name, values in columns.items()}
        application["amount"] *= factor
        decision = monitor.engine.decide_matrix(monitor.engine.matrix(application))[0]
        drafts.append(draft("decision", content(decision) | {"application": application}))
    monitor.ledger.append_many(drafts)


def train(root: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pq.read_table(root / "data/small/prepared/train.parquet").to_pydict()
    wanted = ("amount", "months", "purpose", "insured", "income", "branch", "sex")
    return {name: [None if v != v else v for v in table[name]] for name in wanted}  # noqa: PLR0124


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a webhook on loopback is told."""
    told: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/")
    yield told
    server.shutdown()
    server.server_close()


def test_undrifted_decisions_are_reported_quiet(monitor: Monitor, root: Path) -> None:
    decide(monitor, root)
    (report,) = monitor.look()
    assert report["loudest"] == "quiet"
    assert report["expected"]["roc_auc"]["low"] < report["expected"]["roc_auc"]["high"]
    assert set(report["groups"]["sex"]) >= {"F", "M"}


def test_a_window_is_judged_once_until_enough_is_new(monitor: Monitor, root: Path) -> None:
    decide(monitor, root)
    assert len(monitor.look()) == 1
    assert monitor.look() == []


def test_too_few_decisions_are_not_judged(monitor: Monitor, root: Path) -> None:
    decide(monitor, root, rows=50)
    assert monitor.look() == []


def test_a_drift_opens_one_incident_for_its_field_and_recovery_closes_it(
    monitor: Monitor, root: Path, slack: list[str]
) -> None:
    decide(monitor, root, factor=0.05)
    monitor.look()
    decide(monitor, root, factor=0.05)
    monitor.look()
    opened = [i["words"] for i in monitor.reports.open_incidents()]
    assert sum(words.startswith("amount:") for words in opened) == 1
    decide(monitor, root)
    monitor.look()
    assert monitor.reports.open_incidents() == []
    assert sum("ALARM amount:" in text for text in slack) == 1
    assert sum("RESOLVED amount:" in text for text in slack) == 1


def test_a_receiver_that_is_away_stops_nothing(
    monitor: Monitor,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK", "http://127.0.0.1:9/")
    decide(monitor, root, factor=0.05)
    assert monitor.look()[0]["loudest"] == "alarm"
    assert "ALERT_WEBHOOK" in capsys.readouterr().err


def test_reports_are_kept_whole_and_listed_newest_first(monitor: Monitor, root: Path) -> None:
    for _ in range(3):
        decide(monitor, root)
        monitor.look()
    newest = monitor.reports.recent(2)
    assert [r["id"] for r in newest] == [3, 2]
    assert monitor.reports.get(3) == newest[0]
    assert [r["id"] for r in monitor.reports.recent(5, before=2)] == [1]
    assert monitor.reports.get(99) is None
