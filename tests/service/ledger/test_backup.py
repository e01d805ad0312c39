"""A ledger is backed up while it is written, and goes on elsewhere from its backup."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from service.ledger import Ledger, LedgerUnavailable
from service.ledger.__main__ import main
from service.ledger.verify import verify
from tests.support.books import ROOT
from tests.support.databases import Postgres
from tests.support.ledger_client import change, decided, disarm, eventually

pytest_plugins = ("tests.support.databases",)


@pytest.fixture
def empty_database(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of the same make in another place."""
    if database.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/elsewhere/decisions.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@contextmanager
def load(ledger: Ledger) -> Iterator[list[str]]:
    """The ids of the entries that four threads record meanwhile."""
    ids: list[str] = []
    stop = threading.Event()

    def append() -> None:
        while not stop.is_set():
            with suppress(LedgerUnavailable):
                ids.extend(entry.id for entry in ledger.append_many([decided(), decided()]))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield ids
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def run(database: str, *words: object) -> int:
    return main(["--database", database, *map(str, words)])


def test_a_backup_under_load_goes_on_elsewhere(
    ledger: Ledger,
    database: str,
    empty_database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    backup = tmp_path / "backups/monday.sqlite"
    ledger.keep_policy("44136fa355b3", "{}")
    with load(ledger) as ids:
        eventually(lambda: len(ids) > 50)
        before = set(ids)
        assert run(database, "backup", backup) == 0
        eventually(lambda: len(ids) > len(before) + 50)
    assert sorted(backup.parent.iterdir()) == [backup]
    assert run(empty_database, "restore", backup) == 0
    assert "the chain is sound; head" in capsys.readouterr().out
    again = Ledger(empty_database)
    restored = {entry.id for entry in again.after(0, 1_000_000)}
    assert before <= restored < set(ids)
    expected = ledger.after(0, len(restored))[-1]
    assert again.head() == (expected.sequence, expected.hash)
    assert again.append_many([decided()])[0].sequence == len(restored) + 1
    again.check()
    assert verify(again.engine, None).findings == []
    with pytest.raises(Exception, match="append-only"):
        change(again.engine, "DELETE FROM ledger_entries")
    again.close()


def test_a_backup_of_either_database_is_a_ledger_in_one_file(
    ledger: Ledger, database: str, tmp_path: Path
) -> None:
    entries = ledger.append_many([decided(number=n) for n in range(20)])
    assert run(database, "backup", tmp_path / "backup") == 0
    head = f"{entries[-1].sequence}:{entries[-1].hash}"
    assert run(f"sqlite:///{tmp_path}/backup", "verify", "--expect-head", head) == 0
    copy = Ledger(f"sqlite:///{tmp_path}/backup")
    assert copy.after(0, 100) == entries
    copy.close()


def test_a_restore_refuses_a_database_that_holds_a_ledger(
    ledger: Ledger, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.append_many([decided()])
    assert run(database, "backup", tmp_path / "backup") == 0
    ledger.append_many([decided()])
    assert run(database, "restore", tmp_path / "backup") == 2
    assert "already" in capsys.readouterr().err
    assert ledger.head().sequence == 2


def test_a_backup_refuses_to_overwrite_a_file(
    ledger: Ledger, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.append_many([decided()])
    (tmp_path / "backup").write_text("of last week")
    assert run(database, "backup", tmp_path / "backup") == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "backup").read_text() == "of last week"


def test_a_restore_says_that_entries_are_missing(
    ledger: Ledger, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.append_many([decided(), decided()])
    assert run(database, "backup", tmp_path / "backup") == 0
    ledger.append_many([decided(), decided(), decided()])
    ledger.close()
    lose(ledger)
    seen = tmp_path / "7.checkpoint"
    seen.write_text("lender.example/ledger\n7\nroot\n\nsignature\n")
    assert run(database, "restore", tmp_path / "backup", "--signed", seen) == 1
    said = capsys.readouterr().out
    assert f"older than {seen}, which knows 7 entries: 3 to 7 are missing" in said
    assert "which knows 5 entries: 3 to 5 are missing" in said
    again = Ledger(database)
    with pytest.raises(LedgerUnavailable, match="lost entries"):
        again.append_many([decided()])
    assert run(database, "init") == 0
    assert again.append_many([decided()])[0].sequence == 3
    again.close()


def lose(ledger: Ledger) -> None:
    """Empty the database behind the ledger's back."""
    if ledger.engine.dialect.name == "sqlite":
        for file in Path(str(ledger.engine.url.database)).parent.glob("*.sqlite*"):
            if file.suffix != ".checkpoint":
                file.unlink()
        return
    change(ledger.engine, "DROP SCHEMA public CASCADE")
    change(ledger.engine, "CREATE SCHEMA public")


@pytest.mark.parametrize("words", ["verify", "backup new.sqlite", "migrate", "init"])
def test_what_is_no_database_is_named(
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "letters.csv"
    file.write_text("id,decision\n")
    assert run(f"sqlite:///{file}", *words.split()) == 2
    assert f"{file} must be a database of SQLite, such as" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["letters.csv"]


def test_a_folder_in_the_place_of_a_database_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"sqlite:///{tmp_path}", "verify") == 2
    assert f"unable to open {tmp_path}: Is a directory" in capsys.readouterr().err


def test_a_backup_that_is_no_database_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backup.zip"
    file.write_bytes(b"PK\x03\x04" * 10)
    assert run(f"sqlite:///{tmp_path}/new.sqlite", "restore", file) == 2
    assert f"{file} must be a database of SQLite" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_broken_chain_is_neither_backed_up_nor_restored(
    ledger: Ledger,
    database: str,
    empty_database: str,
    tmp_path: Path,
    command: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ledger.append_many([decided(), decided()])
    backup = tmp_path / "backup"
    broken = ledger
    if command == "restore":
        assert run(database, "backup", backup) == 0
        broken = Ledger(f"sqlite:///{backup}")
    disarm(broken.engine)
    change(broken.engine, "UPDATE ledger_entries SET decision = 'approve'")
    if command == "restore":
        broken.close()
        assert run(empty_database, "restore", backup) == 2
    else:
        assert run(database, "backup", backup) == 2
        assert list(tmp_path.glob("backup*")) == []
    assert "the chain is broken (entry 1" in capsys.readouterr().err


@pytest.mark.parametrize("moment", [0.0, 0.2, 0.5])
def test_a_killed_backup_or_restore_leaves_nothing_that_looks_whole(
    ledger: Ledger, database: str, empty_database: str, tmp_path: Path, moment: float
) -> None:
    ledger.append_many([decided(number=n) for n in range(3_000)])
    backup = tmp_path / "backup"
    kill_in(database, ["backup", str(backup)], lambda: bool(list(tmp_path.glob("backup*"))), moment)
    assert not backup.exists()
    assert run(database, "backup", backup) == 0
    kill_in(empty_database, ["restore", str(backup)], lambda: True, 1 + moment)
    if database.startswith("sqlite"):
        assert not Path(empty_database.removeprefix("sqlite:///")).exists()
    assert run(empty_database, "restore", backup) == 0
    again = Ledger(empty_database)
    assert again.head() == ledger.head()
    again.close()


def kill_in(database: str, words: list[str], begun: Callable[[], bool], moment: float) -> None:
    """Kill a command `moment` seconds after it has begun, by a copy that is slowed down."""
    slow = (
        "import sys, time; from service.ledger import backup; from service.ledger.__main__ import "
        "main; old = backup._copy_rows\n"
        "def slow(*a): old(*a); time.sleep(30)\n"
        "backup._copy_rows = slow; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", slow, "--database", database, *words]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ)
    eventually(begun, seconds=120)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
