"""Who is told of an incident, how, and what happens where nobody can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.monitoring import alerts
from tests.e2e.sinks import Mail, running

OPENED = [{"loudness": "alarm", "words": "income: its mean moved"}]


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mail]:
    """A mail server on loopback that the settings name."""
    server = Mail()
    monkeypatch.setenv("ALERT_SMTP", f"127.0.0.1:{server.port}")
    monkeypatch.setenv("ALERT_MAIL", "risk@example.com")
    with running(server):
        yield server


def test_an_incident_is_mailed_to_the_address_that_is_set(mail: Mail) -> None:
    alerts.announce(OPENED, [])
    (message,) = mail.received
    assert message["To"] == "risk@example.com"
    assert message["Subject"] == "ALARM income: its mean moved"
    assert mail.logins == []


def test_the_end_of_an_incident_is_announced(mail: Mail) -> None:
    alerts.announce([], OPENED)
    assert mail.received[0]["Subject"] == "RESOLVED income: its mean moved"


def test_the_account_is_used_with_the_password_of_a_file(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("swordfish\n")
    monkeypatch.setenv("ALERT_SMTP_USER", "ada")
    monkeypatch.setenv("ALERT_SMTP_PASSWORD_FILE", str(tmp_path / "password"))
    alerts.announce(OPENED, [])
    assert mail.logins == [["", "ada", "swordfish"]]
    assert len(mail.received) == 1


def test_a_missing_password_file_does_not_stop_the_monitor(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALERT_SMTP_USER", "ada")
    alerts.announce(OPENED, [])
    assert "alerts: ALERT_SMTP: " in capsys.readouterr().err


def test_another_machine_without_tls_gets_no_password(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALERT_SMTP_USER", "ada")
    monkeypatch.setenv("ALERT_SMTP", f"127.1:{mail.port}")  # the same server by another name
    alerts.announce(OPENED, [])
    assert "offers no TLS" in capsys.readouterr().err
    assert mail.logins == []


def test_without_incidents_nothing_is_sent(mail: Mail) -> None:
    alerts.announce([], [])
    assert mail.received == []


def test_an_invalid_webhook_address_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ALERT_SMTP", raising=False)
    monkeypatch.setenv("ALERT_WEBHOOK", "file:///etc/passwd")
    alerts.announce(OPENED, [])
    assert "must begin with http:// or https://" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["http://[", "http://127.0.0.1:99999/", "http://a b/", "http://"]
)
def test_a_malformed_address_does_not_stop_the_monitor(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ALERT_SMTP", raising=False)
    monkeypatch.setenv("ALERT_WEBHOOK", address)
    alerts.announce(OPENED, [])
    assert "alerts: ALERT_WEBHOOK: " in capsys.readouterr().err


def test_a_text_with_a_line_break_is_mailed(mail: Mail) -> None:
    alerts.announce([{"loudness": "alarm", "words": "purpose: 5% are A\nB"}], [])
    assert mail.received[0]["Subject"] == "ALARM purpose: 5% are A B"
