"""Verification that resumes finds what is missing of what it has read before."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from service.ledger import Ledger
from service.ledger.__main__ import main
from service.ledger.verify import command as verify_command
from tests.support.ledger_client import change, decided, disarm

pytest_plugins = ("tests.support.databases",)


def run(database: str, *arguments: str) -> int:
    return main(["--database", database, *arguments])


def add(ledger: Ledger, count: int) -> None:
    ledger.append_many([decided(number=n) for n in range(count)])


EARLIER_LOSSES = {
    "an entry": ("DELETE FROM ledger_entries WHERE sequence = 2", "entries 2 to 2, verified"),
    "the first entries": (
        "DELETE FROM ledger_entries WHERE sequence < 4",
        "entries 1 to 3, verified before, are missing",
    ),
    "a personal part": (
        "DELETE FROM ledger_personal WHERE sequence = 2",
        "the personal part of entry 2 is missing",
    ),
    "a protected part": (
        "DELETE FROM ledger_protected WHERE sequence = 3",
        "the protected part of entry 3 is missing",
    ),
    "what was said of an erasure": (
        "UPDATE ledger_entries SET payload = replace(payload, '[[1,1]]', '[[1,3]]') "
        "WHERE kind = 'erase'",
        "was changed since it was verified",
    ),
    "an erased part that is back": (
        "INSERT INTO ledger_personal SELECT 1, reference, salt, content FROM ledger_personal "
        "WHERE sequence = 2",
        "are there, though erased",
    ),
}


@pytest.mark.parametrize("loss", EARLIER_LOSSES)
def test_verify_finds_what_was_removed_before_the_head_that_it_kept(
    ledger: Ledger,
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    loss: str,
) -> None:
    resumed = ("verify", "--resume", str(tmp_path / "seen.head"))
    for number in range(5):
        ledger.append_many([decided(reference=f"CASE-{number}", gender="F")])
    erasing = ("erase", "--reference", "CASE-0", "--by", "Officer", "--why", "request 17")
    assert run(database, *erasing) == 0
    assert run(database, *resumed) == 0
    ledger.append_many([decided()])
    disarm(ledger.engine)
    statement, message = EARLIER_LOSSES[loss]
    change(ledger.engine, statement)
    capsys.readouterr()
    assert run(database, *resumed) == 1
    assert message in capsys.readouterr().out


def test_a_verification_after_findings_reads_the_whole_ledger(
    ledger: Ledger, database: str, tmp_path: Path
) -> None:
    resumed = ("verify", "--record", "--resume", str(tmp_path / "seen.head"))
    add(ledger, 5)
    assert run(database, *resumed) == 0
    disarm(ledger.engine)
    change(ledger.engine, "UPDATE ledger_entries SET refers_to = 'x' WHERE sequence = 2")
    assert run(database, *resumed) == 0
    assert run(database, "verify", "--record") == 1
    assert run(database, *resumed) == 1
    change(ledger.engine, "UPDATE ledger_entries SET refers_to = NULL WHERE sequence = 2")
    assert run(database, *resumed) == 0
    assert run(database, *resumed) == 0


class Stopped(Exception):
    """The test ends a command that would run for ever."""


def test_a_scheduled_verification_reads_the_whole_ledger_first_and_once_a_day(
    ledger: Ledger,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add(ledger, 5)
    kept = tmp_path / "seen.head"
    assert run(database, "verify", "--resume", str(kept)) == 0
    now, runs = [1000.0], []

    def sleep(seconds: float) -> None:
        runs.append("verified before" not in capsys.readouterr().out)
        now[0] += seconds
        if len(runs) == 6:
            raise Stopped

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(verify_command, "time", clock)
    scheduled = ("verify", "--resume", str(kept), "--every", "10", "--whole-every", "30")
    capsys.readouterr()
    with pytest.raises(Stopped):
        run(database, *scheduled)
    assert runs == [True, False, False, True, False, False]
