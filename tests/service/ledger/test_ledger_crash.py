"""What is lost when something dies: of the answered decisions, none."""

import asyncio
import random
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.ledger import Ledger, LedgerUnavailable
from service.ledger.storage.database import LOCK_TIMEOUT
from service.ledger.storage.totals import STEP
from service.ledger.verify import verify
from tests.support.ledger_client import decided, eventually

if TYPE_CHECKING:
    from tests.support.databases import Postgres

pytest_plugins = ("tests.support.databases",)

ROOT = Path(__file__).parents[3]


def recording(
    database: str, clients: int, each: int, step: int = STEP
) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-m",
        "tests.support.ledger_client",
        database,
        str(clients),
        str(each),
        str(step),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)


def recorded(ledger: Ledger) -> set[str]:
    """The ids of all entries of a chain that is sound."""
    verdict = verify(ledger.engine)
    assert verdict.findings == []
    entries = ledger.after(0, verdict.head.sequence)
    assert len(entries) == verdict.head.sequence
    return {entry.id for entry in entries}


def append_or_refuse(ledger: Ledger) -> str | None:
    """The id of an answered decision, None for a refused one."""
    try:
        return ledger.append_many([decided()])[0].id
    except LedgerUnavailable:
        return None


def test_a_killed_process_loses_no_answered_decision(ledger: Ledger, database: str) -> None:
    answered: set[str] = set()
    for _ in range(10):
        process = recording(database, 8, 1_000_000)
        assert process.stdout is not None
        answered.add(process.stdout.readline().decode().strip())
        time.sleep(random.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        answered.update(process.stdout.read().decode().split())
        process.wait()
        process.stdout.close()
        assert answered <= recorded(ledger)
    assert len(answered) > 100


def test_two_processes_keep_one_chain(ledger: Ledger, database: str) -> None:
    processes = [recording(database, 8, 50) for _ in range(2)]
    answered = [process.communicate(timeout=120)[0].decode().split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [len(ids) for ids in answered] == [400, 400]
    assert recorded(ledger) == {entry_id for ids in answered for entry_id in ids}


def test_a_busy_process_does_not_starve_others(tmp_path: Path) -> None:
    path = tmp_path / "decisions.sqlite"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.append_many([decided()])
    holding, served = threading.Event(), threading.Event()

    def hold_nearly_always() -> None:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as neighbour:
            while not served.is_set():
                neighbour.execute("BEGIN IMMEDIATE")
                holding.set()
                time.sleep(0.02)
                neighbour.execute("COMMIT")
                time.sleep(0.0001)

    holder = threading.Thread(target=hold_nearly_always)
    holder.start()
    holding.wait()
    try:  # on a busy machine a turn may be missed, as the lock is free for moments only
        assert sum(append_or_refuse(ledger) is not None for _ in range(10)) >= 7
    finally:
        served.set()
        holder.join()
        ledger.close()


def test_a_reader_waits_while_another_process_recovers_the_log(tmp_path: Path) -> None:
    path = tmp_path / "decisions.sqlite"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.prepare()
    ledger.close()  # the last connection removes the log, so that the next one may lock the file
    with closing(sqlite3.connect(path, isolation_level=None)) as neighbour:
        neighbour.execute("PRAGMA locking_mode = EXCLUSIVE")
        neighbour.execute("SELECT count(*) FROM ledger_entries").fetchone()
        reader = Ledger(f"sqlite:///{path}")
        with ThreadPoolExecutor(1) as pool:
            head = pool.submit(reader.head)
            time.sleep(0.3)
            neighbour.close()
            assert head.result().sequence == 0
    reader.close()


def test_a_reader_that_is_connected_waits_for_a_lock_too(tmp_path: Path) -> None:
    path = tmp_path / "decisions.sqlite"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.append_many([decided()])
    with ledger.engine.connect() as connection:
        waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    ledger.close()
    assert waits == 1000 * LOCK_TIMEOUT


# ---- the database goes away


@pytest.mark.e2e
def test_a_crashed_server_loses_no_answered_decision(postgres: "Postgres") -> None:
    ledger = Ledger(postgres.new_database())
    answered: set[str] = set()
    refused: list[str] = []

    async def client() -> None:
        while len(refused) < 50 or ledger.writer_status().failure:
            try:
                answered.add((await ledger.append(decided())).id)
            except LedgerUnavailable as error:
                refused.append(str(error))
                await asyncio.sleep(0.01)

    async def crash() -> None:
        await asyncio.sleep(0.3)
        await asyncio.to_thread(postgres.stop, signal.SIGQUIT)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(postgres.start)

    async def both() -> None:
        await asyncio.gather(crash(), *(client() for _ in range(16)))

    asyncio.run(both())
    assert answered <= recorded(ledger)
    assert any("connection" in reason for reason in refused)
    ledger.close()


@pytest.mark.e2e
def test_a_server_restarted_between_two_decisions_is_not_noticed(postgres: "Postgres") -> None:
    ledger = Ledger(postgres.new_database())
    ledger.append_many([decided()])
    postgres.stop(signal.SIGINT)
    postgres.start()
    assert ledger.append_many([decided()])[0].sequence == 2
    assert ledger.head().sequence == 2
    ledger.close()


@pytest.mark.e2e
def test_a_ledger_opened_before_its_server_works_when_that_is_there(postgres: "Postgres") -> None:
    database = postgres.new_database()
    postgres.stop(signal.SIGINT)
    ledger = Ledger(database)
    for use in (ledger.check, ledger.head, lambda: ledger.append_many([decided()])):
        with pytest.raises(LedgerUnavailable, match="connect"):
            use()
    postgres.start()
    assert ledger.append_many([decided()])[0].sequence == 1
    ledger.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_missing_file_is_reported_and_not_created_again(ledger: Ledger, database: str) -> None:
    path = Path(database.removeprefix("sqlite:///"))
    away = path.with_suffix(".away")
    ledger.append_many([decided()])
    path.rename(away)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="is gone"):
            ledger.append_many([decided()])
    assert not path.exists()
    away.rename(path)
    assert ledger.append_many([decided()])[0].sequence == 2
    assert len(recorded(ledger)) == 2


def test_a_database_that_lost_entries_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    ledger.append_many([decided() for _ in range(3)])
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE ledger_head SET sequence = 1")
    with pytest.raises(LedgerUnavailable, match=r"lost entries: it ends at 1, .* up to 3"):
        ledger.append_many([decided()])


# ---- the disk is full


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(65_536)):
                pass
        except OSError:
            return ballast


@pytest.mark.e2e
def test_a_full_disk_refuses_and_recovers_when_there_is_room(
    on_small_disk: str, small_disk: Path
) -> None:
    ledger = Ledger(on_small_disk)
    answered = {append_or_refuse(ledger)}
    ballast = fill(small_disk)
    while None not in answered:
        answered.add(append_or_refuse(ledger))
    assert ledger.writer_status().failure
    ballast.unlink()
    answered.add(append_or_refuse(ledger))
    assert ledger.writer_status().failure is None
    assert answered - {None} == recorded(ledger)
    ledger.close()


# ---- nobody knows whether the commit happened


class Cut:
    """A connection to the server that ends when a commit was done, before its answer."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.armed = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with client, server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65_536)
                    if not data:
                        return
                    other[source].sendall(data)
                    if self.armed and source is client and b"COMMIT" in data:
                        self.armed = False
                        server.recv(65_536)
                        return


@pytest.mark.e2e
def test_a_commit_whose_answer_was_lost_is_not_acknowledged(postgres: "Postgres") -> None:
    database = postgres.new_database()
    cut = Cut(postgres.port)
    port = cut.listener.getsockname()[1]
    ledger = Ledger(database.replace(str(postgres.port), str(port)))
    first = ledger.append_many([decided()])[0].id
    cut.armed = True
    assert append_or_refuse(ledger) is None
    last = append_or_refuse(ledger)
    eventually(lambda: len(recorded(ledger)) == 3)
    assert {first, last} < recorded(ledger)
    ledger.close()
    cut.listener.close()
