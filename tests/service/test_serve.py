"""The commands that serve: a mistake ends in one message, and the demo keeps to itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import serve
from service.decision.hashes import LOCK, WINNER
from service.demo import __main__ as demo
from service.serve import CannotServe

ROOT = Path(__file__).parents[2]


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which something listens."""
    with socket.create_server((serve.HOST, 0)) as server:
        yield server.getsockname()[1]


def run(module: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("module", ["service.serve", "service.demo"])
def test_a_wrong_setting_ends_in_one_message(module: str) -> None:
    done = run(module, CREDIT_PD_MAX_BATCH="many")
    assert done.returncode == 1
    name = module.removeprefix("service.")
    message = f"{name}: CREDIT_PD_MAX_BATCH must be a whole number from 1; got 'many'\n"
    assert done.stderr == message


def test_another_database_ends_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://somewhere/credit")
    with pytest.raises(CannotServe, match="DATABASE_URL must begin with sqlite:/// or postgresql"):
        serve.check_files()


def test_a_missing_model_is_reported_with_the_command_that_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "ROOT", tmp_path)
    with pytest.raises(CannotServe, match="is missing; run `make`"):
        serve.check_files()
    (tmp_path / WINNER).parent.mkdir()
    (tmp_path / WINNER).touch()
    serve.check_files()


def test_an_altered_model_is_reported_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / WINNER).write_text("{}")
    (tmp_path / LOCK).write_text(f"stages: {{evaluate: {{outs: [{{path: {WINNER}, md5: aa}}]}}}}")
    monkeypatch.setattr(serve, "ROOT", tmp_path)
    with pytest.raises(CannotServe, match=r"is not the file that dvc\.lock states; run"):
        serve.check_files()


def test_a_port_in_use_is_reported_with_another_one(port: int) -> None:
    with pytest.raises(CannotServe, match=f"port {port} cannot be used .*PORT={port + 1}"):
        serve.check_port(port, "PORT")


@pytest.mark.parametrize("text", ["0", "65536", "abc", "-1", "", "3000.0"])
def test_an_invalid_port_is_refused(text: str) -> None:
    done = run("service.serve", f"--port={text}")
    assert done.returncode == 2
    assert f"must be a whole number from 1 to 65535; got {text!r}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_uses_a_separate_ledger_and_sends_no_alerts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("DATABASE_URL", "CREDIT_PD_API_KEYS", "ALERT_WEBHOOK", "RETRAIN_REPOSITORY"):
        monkeypatch.setenv(name, "postgresql://production/credit")
    surroundings = demo.environment(tmp_path)
    assert surroundings["DATABASE_URL"] == f"sqlite:///{tmp_path}/decisions.sqlite"
    for name in ("CREDIT_PD_API_KEYS", "ALERT_WEBHOOK", "ALERT_SMTP", "RETRAIN_REPOSITORY"):
        assert surroundings[name] == ""


def test_the_demo_prints_the_addresses_and_when_the_drift_begins() -> None:
    instructions = demo.instructions(3000)
    for address in (":3000 ", ":3000/docs", ":8501"):
        assert f"http://127.0.0.1{address}" in instructions
    assert "then every income is halved" in instructions


def test_the_dashboard_refuses_an_option_that_it_does_not_have() -> None:
    done = run("service.dashboard", "--port=1")
    assert done.returncode == 2
    assert "unrecognized arguments: --port=1" in done.stderr


def test_openmp_waits_without_spinning_before_a_booster_loads() -> None:
    """OpenMP prints its settings when the library loads, which is when it reads them."""
    code = "import service.service, lightgbm"
    environment = {name: v for name, v in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | {"OMP_DISPLAY_ENV": "true"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    settings = [line.strip() for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    assert settings
    assert {line.rpartition("= ")[2] for line in settings} == {"'PASSIVE'"}


def test_the_supervisor_loads_what_declares_the_service_alone() -> None:
    heavy = {"numpy", "scipy", "sqlalchemy", "service.worker"}
    code = f"import sys, service.service; print({heavy!r} & set(sys.modules))"
    output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True, timeout=120)
    assert output.strip() == "set()"


def test_a_wrong_setting_of_users_ends_the_supervisor_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import service.service"],
        cwd=ROOT,
        env=os.environ | {"CREDIT_PD_USERS": "/nowhere/keys"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode
    assert "SettingsError: CREDIT_PD_USERS: " in done.stderr
