"""What was done to the ledger to break it, and must not break it again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from service.api.handlers.api import Api
from service.api.requests import Request, respond
from service.ledger import Ledger, LedgerUnavailable
from service.ledger.__main__ import main
from service.ledger.storage.entries import COLUMNS, canonical
from service.ledger.verify import verify
from tests.support.ledger_client import change, decided, disarm, eventually

if TYPE_CHECKING:
    from tests.support.databases import Postgres

pytest_plugins = ("tests.support.databases",)

SOON = 5.0  # seconds in which everything is answered


def add(ledger: Ledger, count: int) -> None:
    ledger.append_many([decided(number=n) for n in range(count)])


def take_away(ledger: Ledger) -> None:
    """Empty the database, as somebody does who drops it or moves the file."""
    file = ledger.engine.url.database
    if ledger.engine.dialect.name == "sqlite":
        Path(str(file)).rename(f"{file}.away")
        return
    for table in (
        "ledger_entries",
        "ledger_head",
        "ledger_probe",
        "schema_version",
        "alembic_version",
        "ledger_claims",
        "ledger_open_referrals",
        "ledger_totals",
        "ledger_personal",
        "ledger_protected",
        "ledger_verifications",
    ):
        change(ledger.engine, f"DROP TABLE {table} CASCADE")
    change(
        ledger.engine,
        "DROP TABLE drift_reports, incidents, ledger_blocks, ledger_checkpoints, ledger_policies",
    )
    change(
        ledger.engine,
        "DROP FUNCTION ledger_is_append_only, ledger_keeps_queue",
    )


def readiness(ledger: Ledger) -> int:
    api = Api(Path(), ledger)
    api.state.engine = object()  # type: ignore[assignment]
    return asyncio.run(respond(api.probes.readyz, Request("", {}, b"")))[0]


# ---- a probe


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_probe_does_not_create_a_missing_file(ledger: Ledger, database: str) -> None:
    add(ledger, 3)
    path = Path(database.removeprefix("sqlite:///"))
    take_away(ledger)
    assert readiness(ledger) == 503
    assert not path.exists()
    path.with_name(f"{path.name}.away").rename(path)
    assert readiness(ledger) == 200
    assert ledger.head().sequence == 3


def test_a_probe_creates_no_tables(ledger: Ledger) -> None:
    with pytest.raises(LedgerUnavailable):
        ledger.check()
    with pytest.raises(LedgerUnavailable):
        ledger.head()


def test_readiness_and_appends_fail_alike_when_entries_were_lost(ledger: Ledger) -> None:
    add(ledger, 3)
    disarm(ledger.engine)
    change(ledger.engine, "DELETE FROM ledger_entries WHERE sequence > 1")
    change(ledger.engine, "UPDATE ledger_head SET sequence = 1")
    with pytest.raises(LedgerUnavailable, match="lost entries"):
        add(ledger, 1)
    assert readiness(ledger) == 503


# ---- after a restart


def test_a_lost_ledger_is_not_created_again_after_a_restart(
    ledger: Ledger, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add(ledger, 3)
    take_away(ledger)
    ledger.close()
    again = Ledger(database)
    for use in (again.prepare, lambda: add(again, 1), again.check):
        with pytest.raises(LedgerUnavailable):
            use()
    assert main(["--database", database, "migrate"]) == 2
    assert "that it held 3 entries" in capsys.readouterr().err
    assert main(["--database", database, "init"]) == 0
    add(again, 1)
    assert again.head().sequence == 1
    again.close()


def test_a_shorter_ledger_is_refused_after_a_restart_until_it_is_accepted(
    ledger: Ledger, database: str
) -> None:
    add(ledger, 3)
    ledger.close()
    disarm(ledger.engine)
    kept = ledger.after(1, 1)[0].previous_hash
    change(ledger.engine, "DELETE FROM ledger_entries WHERE sequence > 1")
    change(ledger.engine, f"UPDATE ledger_head SET sequence = 1, hash = '{kept}'")  # noqa: S608
    again = Ledger(database)
    with pytest.raises(LedgerUnavailable, match=r"it ends at 1, and .* says that it held 3"):
        add(again, 1)
    with pytest.raises(LedgerUnavailable, match="lost entries"):
        again.check()
    assert main(["--database", database, "init"]) == 0
    add(again, 1)
    assert again.head().sequence == 2
    again.close()


def test_another_chain_of_the_same_length_is_refused(ledger: Ledger, database: str) -> None:
    add(ledger, 3)
    ledger.close()
    disarm(ledger.engine)
    change(ledger.engine, "UPDATE ledger_entries SET hash = 'x' WHERE sequence = 3")
    again = Ledger(database)
    with pytest.raises(LedgerUnavailable, match="holds another chain"):
        add(again, 1)
    again.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_checkpoint_that_cannot_be_written_is_reported_and_decisions_go_on(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LEDGER_CHECKPOINTS", str(tmp_path / "file"))
    ledger = Ledger(database)
    with pytest.raises(LedgerUnavailable, match="cannot be read"):
        add(ledger, 1)
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    monkeypatch.setattr(Path, "replace", fail)
    add(ledger, 1)
    ledger.close()
    assert "ledger: cannot write " in capsys.readouterr().err


def fail(*_: object) -> None:
    raise OSError(30, "Read-only file system")


# ---- a database that hangs


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # a worker of the server's own ends at any time
            os.kill(pid, number)


@contextmanager
def hung(server: Postgres) -> Iterator[None]:
    """Stop every process of the server, whose sockets stay open."""
    command = ["ps", "-o", "pid=", "--ppid", str(server.process.pid)]
    children = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    pids = [server.process.pid, *map(int, children)]
    signal_all(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(pids, signal.SIGCONT)


async def refused_soon(call: Callable[[], Any]) -> str:
    """The reason of a refusal before a pause of SOON is over, which a busy machine delays too."""
    pause = asyncio.create_task(asyncio.sleep(SOON))
    with pytest.raises(LedgerUnavailable) as caught:
        await call()
    assert not pause.done()
    pause.cancel()
    return str(caught.value)


@pytest.mark.e2e
def test_a_hung_database_is_refused_soon_and_recovers_by_itself(postgres: Postgres) -> None:
    ledger = Ledger(postgres.new_database())
    add(ledger, 1)

    async def use_everything() -> list[str]:
        calls = [
            *[lambda: ledger.append(decided()) for _ in range(20)],
            *[ledger.probe for _ in range(5)],
            *[lambda: ledger.in_thread(ledger.recent, 5) for _ in range(20)],
        ]
        return list(await asyncio.gather(*(refused_soon(call) for call in calls)))

    for _ in range(2):
        with hung(postgres):
            for _ in range(2):  # what waited for the first round must not delay the second
                assert all(
                    "did not answer" in r or "cannot be reached" in r
                    for r in asyncio.run(use_everything())
                )
        assert 200 in (readiness(ledger) for _ in range(3))
    assert verify(ledger.engine).findings == []
    ledger.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_slow_query_is_interrupted(database: str) -> None:
    ledger = Ledger(database, deadline=0.2)
    add(ledger, 1)
    endless = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    )
    since = time.monotonic()
    with ledger.engine.connect() as connection, pytest.raises(Exception, match="interrupted"):
        connection.exec_driver_sql(endless)
    assert time.monotonic() - since < SOON
    ledger.close()


@pytest.mark.e2e
def test_a_slow_query_is_ended_by_the_server(postgres: Postgres) -> None:
    ledger = Ledger(postgres.new_database(), deadline=0.2)
    add(ledger, 1)
    with ledger.engine.connect() as connection, pytest.raises(Exception, match="did not answer"):
        connection.exec_driver_sql("SELECT pg_sleep(60)")
    assert ledger.head().sequence == 1

    def is_idle() -> bool:
        query = b"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sl' || 'eep(60)%'"
        query += b" AND state = 'active'"
        with psycopg.connect(postgres.url()) as connection:
            return connection.execute(query).fetchone() == (0,)

    eventually(is_idle)
    ledger.close()


# ---- a disk that is full


@pytest.mark.e2e
def test_readiness_reports_a_full_disk(
    on_small_disk: str, small_disk: Path, tmp_path: Path
) -> None:
    ledger = Ledger(on_small_disk)
    add(ledger, 1)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(65_536)):
                pass
        except OSError:
            pass

    def appends() -> bool:
        try:
            add(ledger, 1)
        except LedgerUnavailable:
            return False
        return True

    eventually(lambda: not appends())
    for _ in range(3):
        assert readiness(ledger) == 503
    ballast.unlink()
    assert readiness(ledger) == 200
    assert appends()
    ledger.close()


# ---- forgeries and damage


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("key", ["sequence = 2", "id = (SELECT id FROM ledger_entries LIMIT 1)"])
def test_the_table_refuses_a_replacement(ledger: Ledger, key: str) -> None:
    add(ledger, 3)
    name, _, value = key.partition(" = ")
    values = ", ".join(
        value if column == name else {"sequence": "9", "id": "'new'"}.get(column, column)
        for column in COLUMNS
    )
    statement = (
        f"INSERT OR REPLACE INTO ledger_entries SELECT {values} FROM ledger_entries "  # noqa: S608
        "WHERE sequence = 3"
    )
    with pytest.raises(Exception, match="append-only"):
        change(ledger.engine, statement)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_damaged_text_is_named_and_hides_no_other_entry(ledger: Ledger) -> None:
    add(ledger, 5)
    disarm(ledger.engine)
    third = ledger.after(2, 1)[0].id
    broken = "CAST(substr(payload, 1, 20) || x'ff' || substr(payload, 22) AS TEXT)"
    where = f"WHERE id = '{third}'"
    change(ledger.engine, f"UPDATE ledger_entries SET payload = {broken} {where}")  # noqa: S608
    (finding,) = verify(ledger.engine).findings
    assert finding.startswith("entry 3 (")
    page = [history.as_dict() for history in ledger.recent(10).records]
    assert [entry["sequence"] for entry in page] == [5, 4, 3, 2, 1]
    assert canonical(page)


def test_an_entry_that_is_no_json_hides_no_other(ledger: Ledger) -> None:
    add(ledger, 3)
    disarm(ledger.engine)
    change(ledger.engine, "UPDATE ledger_entries SET payload = 'x' WHERE sequence = 2")
    page = [history.as_dict() for history in ledger.recent(10).records]
    assert [entry["sequence"] for entry in page] == [3, 2, 1]
    assert page[1]["damaged"] == "the recorded content cannot be read"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_newest_decisions_of_a_model_come_from_an_index(ledger: Ledger) -> None:
    add(ledger, 1)
    query = (
        "EXPLAIN QUERY PLAN SELECT payload FROM ledger_entries WHERE kind = 'decision' "
        "AND model = 'm1' AND sequence > 0 ORDER BY sequence DESC LIMIT 10"
    )
    with ledger.engine.connect() as connection:
        assert "ledger_entries_by_model" in str(connection.exec_driver_sql(query).all())
