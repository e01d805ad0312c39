"""A real feature server of Feast, in an environment of its own, answers with the same lines."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pandas as pd
import pytest

from service.api.handlers.api import Api
from service.decision.engine import Engine
from service.ledger import Ledger
from stages.contract import command
from tests.support.api_client import Client, client_of
from tests.support.books import HISTORY, ROOT, Project, with_payments
from tests.support.ports import free_port

pytestmark = pytest.mark.e2e
LOCK = ROOT / "requirements" / "feast.txt"
SOURCE = "    source: {kind: feast, table: payments, max_age: 2 days}\n    max_lines: 50\n"
FETCHED = HISTORY.replace("    max_lines: 50\n", SOURCE)
STORE = """project: loans
provider: local
registry: registry.db
online_store: {type: sqlite, path: online.db}
entity_key_serialization_version: 3
"""
STALE, UNKNOWN = "stale", "nobody"  # keys


class Feast(NamedTuple):
    """A feature server, and what the store knew of each key on the day of the decision."""

    url: str
    past: dict[str, list[dict[str, Any]]]
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def programs() -> Path:
    """The programs of an environment with the locked Feast, which is kept for later runs."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    environment = ROOT / "build" / f"feast-{digest}"
    if not (environment / ".ready").exists():
        uv = (sys.executable, "-m", "uv")
        python = environment / "bin" / "python"
        subprocess.run(
            [*uv, "venv", "-q", "--clear", "-p", sys.executable, environment], check=True
        )
        install = ("pip", "install", "-q", "--require-hashes", "-r", LOCK, "--python", python)
        subprocess.run([*uv, *install], check=True)
        (environment / ".ready").touch()
    return environment / "bin"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("feast")
    written = Project(folder, FETCHED, candidates=["lightgbm"]).write(with_payments(later=True))
    return written.run("preprocess", "featurize", "lightgbm", "evaluate")


@pytest.fixture(scope="module")
def engine(project: Project) -> Engine:
    return Engine.load(project.folder)


@pytest.fixture(scope="module")
def applications(project: Project, engine: Engine) -> list[dict[str, Any]]:
    """The applications of the test part that name the key."""
    loans = pd.read_csv(project.data / "raw" / "loans.csv")
    persons = loans["person"].iloc[project.split("test")["_row"]]
    encoded = engine.features.encode(project.columns("test"))
    return [
        engine.features.application(row) | {"person": str(person)}
        for row, person in zip(encoded, persons, strict=True)
    ]


def write_loads(project: Project, applications: list[dict[str, Any]], file: Path) -> None:
    """Write what loads knew: one on the day of each decision, and one of all lines an hour ago."""
    lines = pd.read_csv(project.data / "raw" / "payments.csv")
    lines = lines[lines["late"] < 1000].astype({"person": str})
    columns = ["paid_on", "late", "status"]
    rows = []
    now = datetime.now(UTC)
    for each in applications:
        of_person = lines[lines["person"] == each["person"]]
        known = of_person[of_person["paid_on"] < each["granted"]]
        day = datetime.fromisoformat(each["granted"]).replace(tzinfo=UTC)
        for load, some in ((day, known), (now - timedelta(hours=1), of_person)):
            rows.append((each["person"], load, some[columns].to_json(orient="records")))
    rows.append((STALE, now - timedelta(days=3), "[]"))
    table = pd.DataFrame(rows, columns=["person", "loaded_at", "lines"])
    file.parent.mkdir()
    table.to_parquet(file)


@pytest.fixture(scope="module")
def feast(
    programs: Path,
    project: Project,
    applications: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Feast]:
    folder = tmp_path_factory.mktemp("feature_repo")
    write_loads(project, applications, folder / "data" / "payments.parquet")
    (folder / "feature_store.yaml").write_text(STORE)
    written = subprocess.run(
        [sys.executable, "-m", "stages.contract", "feast", "small"],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    (folder / "definitions.py").write_bytes(written.stdout)
    asked = [{"person": a["person"], "event_timestamp": a["granted"]} for a in applications]
    (folder / "asked.json").write_text(json.dumps(asked))
    quiet = os.environ | {"FEAST_USAGE": "False", "IS_TEST": "True"}
    script = Path(__file__).with_name("feast_store.py")
    for call in (
        [programs / "feast", "apply"],
        [programs / "python", script, "asked.json", "past"],
    ):
        subprocess.run(call, cwd=folder, env=quiet, check=True, stdout=subprocess.DEVNULL)
    past = json.loads((folder / "past").read_text())
    url = f"http://127.0.0.1:{(port := free_port())}"
    serve = ["serve", "-h", "127.0.0.1", "-p", str(port), "--no-access-log"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "feast", *serve],
            cwd=folder,
            env=quiet,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_for(url, process, folder / "log")
    yield Feast(url, {row["person"]: json.loads(row["lines"]) for row in past}, process)
    stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server with its workers."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers."""
    for _ in range(1200):
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(f"{url}/health", timeout=5)
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(log.read_text())


@pytest.fixture
def api(
    feast: Feast, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Api]:
    monkeypatch.setenv("CREDIT_PD_FEAST_URL", feast.url)
    monkeypatch.setenv("CREDIT_PD_FEATURES_TIMEOUT", "5000")
    built = Api(project.folder, Ledger(f"sqlite:///{tmp_path}/ledger/decisions.sqlite"))
    built.state.load()
    yield built
    built.state.close()


@pytest.fixture
def client(api: Api) -> Client:
    return client_of(api, max_body=1 << 20)


def test_offline_online_and_the_pipeline_have_the_same_features(
    client: Client,
    feast: Feast,
    applications: list[dict[str, Any]],
    project: Project,
    engine: Engine,
) -> None:
    expected = engine.features(project.columns("test"))
    stated = [{**a, "payments": feast.past[a["person"]]} for a in applications]
    np.testing.assert_array_equal(engine.matrix(*stated), expected)
    some = applications[:20]
    assert any(len(lines) > 1 for lines in (feast.past[a["person"]] for a in some))
    for place, application in enumerate(some):
        answer = client.post("/predict", json=application).json()
        record = client.get(f"/predictions/{answer['prediction_id']}").json()
        np.testing.assert_array_equal(engine.matrix(record["application"])[0], expected[place])
        assert answer["default_probability"] == float(engine.predict(expected[place][None])[0])
        assert answer["sources"]["payments"]["lines"] == len(feast.past[application["person"]])


def test_a_batch_is_fetched_at_once(client: Client, applications: list[dict[str, Any]]) -> None:
    unknown = applications[0] | {"person": UNKNOWN}
    rows = client.post("/predict_batch", json=[*applications[:60], unknown]).json()["results"]
    alone = client.post("/predict", json=applications[59]).json()
    assert rows[59]["decision"]["default_probability"] == alone["default_probability"]
    (error,) = rows[60]["errors"]
    assert (error["field"], error["code"]) == ("payments", "source_unknown")


def test_a_key_without_a_record_is_no_history_without_lines(
    client: Client, applications: list[dict[str, Any]]
) -> None:
    answer = client.post("/predict", json=applications[0] | {"person": UNKNOWN})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (422, "source_unknown")
    assert "no record of this key" in error["message"]


def test_a_record_that_is_too_old_is_refused(
    client: Client, applications: list[dict[str, Any]]
) -> None:
    answer = client.post("/predict", json=applications[0] | {"person": STALE})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (503, "source_stale")


def test_a_server_that_is_gone_is_no_default(
    client: Client, feast: Feast, applications: list[dict[str, Any]]
) -> None:
    stop(feast.process)
    answer = client.post("/predict", json=applications[0])
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (503, "source_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert feast.url.rpartition(":")[2] not in answer.text
    stated = {n: v for n, v in applications[0].items() if n != "person"}
    stated["payments"] = feast.past[applications[0]["person"]]
    assert client.post("/predict", json=stated).status_code == 200


def test_no_definitions_are_written_without_a_view(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert command.command(["feast", "loan_history"]) == 1
    assert "no history has `source: {kind: feast, ...}`" in capsys.readouterr().err
