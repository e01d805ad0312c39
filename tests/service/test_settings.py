"""Settings: what is allowed, what a mistake says, and that every variable is documented."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service import settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("keys", ["plain-text-key", "12" * 31, "zz" * 32])
def test_a_key_that_is_no_digest_ends_the_start_without_naming_it(
    monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    monkeypatch.setenv("CREDIT_PD_API_KEYS", f"{'ab' * 32}, {keys}")
    with pytest.raises(ValueError, match="CREDIT_PD_API_KEYS: entry 2 must be") as error:
        settings.load()
    assert keys not in str(error.value)


@pytest.mark.parametrize("text", ["0", "-5", "x", "", "5.0", " 5", "1_000", "\u0665"])
@pytest.mark.parametrize("name", ["CREDIT_PD_MAX_BODY", "CREDIT_PD_MAX_BATCH", "DASHBOARD_PORT"])
def test_a_setting_that_is_no_number_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=f"{name} must be a whole number") as error:
        settings.load()
    assert str(error.value).endswith(f"; got {text!r}")


def test_a_value_that_is_not_allowed_is_reported_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CREDIT_PD_MONITOR", "no")
    with pytest.raises(ValueError, match="CREDIT_PD_MONITOR must be on, off or apart; got 'no'"):
        settings.load()


def test_an_empty_text_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in settings.variables():
        monkeypatch.delenv(variable.name, raising=False)
    defaults = settings.load()
    for name in ("DATABASE_URL", "CREDIT_PD_API_KEYS", "CREDIT_PD_MONITOR", "CREDIT_PD_IMAGE"):
        monkeypatch.setenv(name, "")
    assert settings.load() == defaults


def test_settings_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_PD_MAX_BATCH", "7")
    monkeypatch.setenv("CREDIT_PD_API_KEYS", f"{'ab' * 32},{'CD' * 32},")
    read = settings.load()
    assert (read.max_batch, read.api_keys) == (7, (b"\xab" * 32, b"\xcd" * 32))
    monkeypatch.setenv("CREDIT_PD_MAX_BATCH", "8")
    assert settings.load().max_batch == 8


def test_nothing_else_in_the_service_reads_the_environment() -> None:
    reading = re.compile(r"environ\.get|environ\[[^]]+\](?! *=)|getenv")
    modules = (p for p in (ROOT / "service").rglob("*.py") if p.parent.name != "settings")
    assert [p.name for p in modules if reading.search(p.read_text())] == []


def test_every_setting_is_documented() -> None:
    command = [sys.executable, "-m", "service.settings"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = printed.splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [v.name for v in settings.variables()]
    for variable in settings.variables():
        assert variable.allowed
        assert variable.description.endswith(".")


@pytest.mark.parametrize(
    ("name", "value"), [("DASHBOARD_PORT", "http"), ("DATABASE_URL", "mysql://localhost/credit")]
)
def test_the_dashboard_ends_with_one_message_about_a_wrong_setting(name: str, value: str) -> None:
    command = [sys.executable, "-m", "service.dashboard"]
    environment = os.environ | {name: value}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"dashboard: {name} must ")
    assert ended.stderr.count("\n") == 1
