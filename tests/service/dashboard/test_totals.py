"""The totals that the dashboard reads are what a count of the entries gives."""

from __future__ import annotations

import random
import signal
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from service.dashboard import queries, totals
from service.ledger import Draft, Ledger, migrations, override
from service.ledger.__main__ import main
from service.ledger.storage import commitments, entries
from service.ledger.storage import totals as kept
from service.ledger.storage.database_file import create_file
from service.ledger.verify import verify
from service.ledger.verify.totals import check_totals
from service.monitoring import outcomes
from tests.service.ledger.test_ledger_crash import recording
from tests.support.ledger_client import change, decided, eventually

pytest_plugins = ("tests.support.databases",)

STEP = 16  # entries that are counted at once here
NOW = datetime.now(UTC).replace(microsecond=0)
PERIODS = ("", "2026", *(queries.start(days, NOW)[:16] for days in (90, 7, 1, 1 / 24)))
SPANS = (timedelta(minutes=2), timedelta(hours=2), timedelta(days=3), timedelta(days=500))


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count many entries at once already where there are few."""
    monkeypatch.setattr(kept, "STEP", STEP)
    monkeypatch.setattr(kept, "MOST", 8 * STEP)


def count_of(ledger: Ledger) -> int:
    """Return how many entries the totals count."""
    with ledger.engine.connect() as connection:
        return int(connection.execute(select(kept.counted)).scalar_one())


def decided_at(moment: datetime, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> Draft:
    """Return a decision that was made at a time, with random figures."""
    nanoseconds = int(moment.timestamp() * 1e9) + chance.randrange(10**9)
    item = decided(chance.choice(("approve", "refer", "decline")), chance.random())
    with monkeypatch.context() as then:
        then.setattr(entries, "time", SimpleNamespace(time_ns=lambda: nanoseconds))
        content = commitments.join(item.payload, item.personal.content if item.personal else None)
        content |= {
            "credit_score": chance.uniform(300, 850),
            "rating": chance.choice("ABC"),
            "identity": {"model": chance.choice(("m1", "m2")), "policy": "p1"},
        }
        del content["commitments"]
        return entries.draft("decision", content | {"application": {}, "reasons": []})


def overviews(engine: Engine) -> list[dict[str, Any]]:
    """The first view of every period, its sums of PDs rounded: they depend on their order."""
    views = [queries.overview(engine, since)._asdict() for since in PERIODS]
    for view in views:
        view["totals"] = view["totals"]._replace(mean_pd=round(view["totals"].mean_pd, 9))
        view["over_time"] = [row | {"pd": round(row["pd"], 6)} for row in view["over_time"]]
    return views


def same_by_counting(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the first views, which are those that a count of all entries gives."""
    views = overviews(ledger.engine)
    with monkeypatch.context() as without:
        without.setattr(totals, "exist", lambda connection: False)
        assert views == overviews(ledger.engine)
    assert verify(ledger.engine).findings == []
    return views


@pytest.mark.parametrize("span", SPANS, ids=lambda span: f"{span.total_seconds():.0f}s")
def test_the_first_view_is_a_count_of_the_entries(
    ledger: Ledger, span: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    moments = sorted(NOW - chance.random() * span for _ in range(300))
    drafts = [decided_at(each, chance, monkeypatch) for each in moments]
    recorded = [
        entry for end in range(0, 300, 7) for entry in ledger.append_many(drafts[end : end + 7])
    ]
    views = same_by_counting(ledger, monkeypatch)
    assert 300 - STEP < count_of(ledger) < 300
    assert views[0]["totals"].decisions == 300
    assert views[2]["totals"].decisions == sum(e.time >= PERIODS[2] for e in recorded)


def test_overrides_outcomes_and_erasures_leave_the_totals_right(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ledger.append_many(
        [decided("refer", reference="CASE-1"), decided("approve", reference="CASE-2")]
    )
    ledger.append_many([override(first, "approve", "Payslips were shown", "Ada")])
    row = {"prediction_id": second.id, "bad": 1, "date": second.time[:10]}
    assert outcomes.record(ledger, [row]) == (1, [])
    erase = ("erase", "--reference", "CASE-1", "--by", "Officer", "--why", "request 17")
    assert main(["--database", database, *erase]) == 0
    views = same_by_counting(ledger, monkeypatch)
    assert views[0]["totals"][:4] == (2, 1, 1, 0)


def is_gone(engine: Engine, name: str) -> bool:
    """Whether the server has ended the connections of a killed client, whose work it may finish."""
    if engine.dialect.name == "sqlite":
        return True
    query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
    with engine.connect() as connection:
        return connection.execute(query, {"name": name}).scalar_one() == 0


def test_a_killed_process_leaves_the_totals_right(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_server = database.startswith("postgresql")
    address = f"{database}?application_name=killed" if is_server else database
    for _ in range(4):
        process = recording(address, 8, 1_000_000, STEP)
        assert process.stdout is not None
        for _ in range(random.randrange(STEP, 4 * STEP)):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        eventually(lambda: is_gone(ledger.engine, "killed"))
        views = same_by_counting(ledger, monkeypatch)
    assert views[0]["totals"].decisions - count_of(ledger) < 8 + STEP
    assert count_of(ledger) > STEP


def test_a_migration_fills_the_totals(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    older = Ledger(database)
    create_file(older.engine)
    with older.engine.connect() as connection:
        migrations.create_at(connection, "0010")
        connection.commit()
    chance = random.Random(2)
    moments = sorted(NOW - chance.random() * timedelta(days=40) for _ in range(50))
    older.append_many([decided_at(each, chance, monkeypatch) for each in moments])
    before = overviews(older.engine)
    older.close()
    assert main(["--database", database, "migrate"]) == 0
    ledger = Ledger(database)
    assert same_by_counting(ledger, monkeypatch) == before
    assert count_of(ledger) == 50
    ledger.close()


def test_what_an_earlier_release_has_recorded_is_counted_later(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(kept, "exist", lambda connection: False)
        ledger.append_many([decided() for _ in range(9 * STEP)])
    assert count_of(ledger) == 0
    same_by_counting(ledger, monkeypatch)
    for least in (8 * STEP, 10 * STEP):
        ledger.append_many([decided() for _ in range(STEP)])
        assert count_of(ledger) >= least
        same_by_counting(ledger, monkeypatch)


FORGERIES = {
    "UPDATE ledger_totals SET decisions = decisions - 1 WHERE length = 10": "lack 1 of its decisi",
    "UPDATE ledger_totals SET pd = 0 WHERE length = 13": "differ from its entries",
    "UPDATE ledger_totals SET last = '2020' WHERE length = 16": "differ from its entries",
    "DELETE FROM ledger_totals WHERE length = 16": "of its decisions",
    "UPDATE ledger_head SET counted = 15": "lack -1 of its decisions",
    "UPDATE ledger_head SET counted = 17": "say that they count 17 entries, more than there are",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_verify_finds_totals_that_are_not_what_the_entries_say(
    ledger: Ledger, forgery: str
) -> None:
    ledger.append_many([decided() for _ in range(STEP)])
    change(ledger.engine, forgery)
    with ledger.engine.connect() as connection:
        first, *_ = check_totals(connection)
    assert FORGERIES[forgery] in first
