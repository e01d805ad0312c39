"""The commands of the service, as people call them."""

from __future__ import annotations

from pathlib import Path

import pytest

from service import replay
from service.ledger import __main__ as ledger
from service.monitoring import monitor
from service.transparency import __main__ as transparency
from tests.support.books import ROOT

READING = {
    "ledger": lambda: ledger.main(["verify"]),
    "replay": lambda: replay.main(["some-id"]),
    "transparency": lambda: transparency.main(["status"]),
    "monitor": lambda: monitor.judge_once(ROOT),
}


@pytest.mark.parametrize("name", READING)
def test_a_command_that_reads_a_ledger_says_which_file_is_not_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.sqlite")
    try:
        problem = READING[name]() and capsys.readouterr().err
    except SystemExit as end:
        problem = str(end)
    assert problem.startswith(f"{name}: unable to open {tmp_path}/none.sqlite: there is no such")
    assert list(tmp_path.iterdir()) == []
