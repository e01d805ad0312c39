import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from service import replay
from service.ledger import (
    AlreadyRecorded,
    Entry,
    Head,
    Ledger,
    LedgerUnavailable,
    draft,
    override,
    writer,
)
from service.ledger.__main__ import main
from service.ledger.review import steps
from service.ledger.storage import personal_tables as tables
from service.ledger.storage import schema
from service.ledger.storage.database import database_url
from service.ledger.storage.entries import COLUMNS, GENESIS, new_id
from service.ledger.verify import verify
from tests.support.databases import Postgres
from tests.support.ledger_client import change, decided, disarm, eventually

pytest_plugins = ("tests.support.databases",)

IDENTITY = {"model": "m1", "policy": "p1", "data": "d1", "image": "i1"}


def add(ledger: Ledger, count: int) -> list[Entry]:
    return ledger.append_many([decided(number=n) for n in range(count)])


def findings(engine: Engine, expected: Head | None = None) -> list[str]:
    return verify(engine, expected).findings


# ---- recording


def test_an_appended_entry_reads_back_as_it_was_answered(ledger: Ledger) -> None:
    stored = asyncio.run(ledger.append(decided()))
    record = ledger.get(stored.id)
    assert record is not None
    assert record.entry == stored


def test_every_entry_follows_the_one_before_it(ledger: Ledger) -> None:
    first, second, third = add(ledger, 3)
    assert [e.sequence for e in (first, second, third)] == [1, 2, 3]
    assert [e.previous_hash for e in (first, second, third)] == [GENESIS, first.hash, second.hash]


def test_appends_of_many_clients_are_each_recorded_once_in_one_chain(ledger: Ledger) -> None:
    async def client(number: int) -> list[str]:
        return [(await ledger.append(decided(client=number))).id for _ in range(10)]

    async def clients() -> list[list[str]]:
        return await asyncio.gather(*map(client, range(64)))

    answered = {entry_id for ids in asyncio.run(clients()) for entry_id in ids}
    assert answered == {entry.id for entry in ledger.after(0, 1_000)}
    assert findings(ledger.engine) == []
    assert ledger.writer_status().entries == 640
    assert ledger.writer_status().groups < 320


def test_a_group_is_recorded_in_the_order_given(ledger: Ledger) -> None:
    drafts = [decided(number=n) for n in range(300)]
    stored = asyncio.run(ledger.append_group(drafts))
    assert [e.id for e in stored] == [d.id for d in drafts]
    assert [e.sequence for e in stored] == list(range(1, 301))


def test_numbers_come_back_to_the_last_bit(ledger: Ledger) -> None:
    (stored,) = ledger.append_many([decided(pd=0.1 + 0.2)])
    record = ledger.get(stored.id)
    assert record is not None
    assert record.entry.default_probability == 0.30000000000000004
    assert record.entry.content["default_probability"] == 0.30000000000000004


def test_a_sqlite_ledger_syncs_its_log_at_every_commit(tmp_path: Any) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/a/b/ledger.sqlite")
    add(ledger, 1)
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    ledger.close()


def test_closing_records_what_waits(database: str) -> None:
    ledger = Ledger(database)

    async def append_and_close() -> list[Entry]:
        waiting = [asyncio.ensure_future(ledger.append(decided())) for _ in range(100)]
        await asyncio.sleep(0)
        await asyncio.to_thread(ledger.close)
        return await asyncio.gather(*waiting)

    assert len(asyncio.run(append_and_close())) == 100
    with pytest.raises(LedgerUnavailable, match="closed"):
        add(ledger, 1)


def test_a_client_that_goes_away_does_not_disturb_the_others(ledger: Ledger) -> None:
    async def one_is_cancelled() -> Entry:
        gone = asyncio.ensure_future(ledger.append(decided()))
        stays = asyncio.ensure_future(ledger.append(decided()))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(one_is_cancelled()).sequence == 2


@contextmanager
def held(ledger: Ledger) -> Iterator[None]:
    """Keep the writer waiting for the end of the chain."""
    ledger.prepare()
    with ledger.engine.connect() as connection:
        schema.lock_head(connection)
        yield
        connection.rollback()


def test_a_full_queue_refuses_more(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CAPACITY", 1)
    with ThreadPoolExecutor() as pool:
        with held(ledger):
            pool.submit(add, ledger, 1)
            eventually(lambda: ledger.writer_status().lag > 0)
            pool.submit(add, ledger, 1)
            eventually(lambda: ledger.writer_status().waiting == 2)
            with pytest.raises(LedgerUnavailable, match="1 appends are waiting"):
                add(ledger, 1)
        eventually(lambda: ledger.head().sequence == 2)


def test_one_commit_records_all_that_waits_for_a_lock(ledger: Ledger) -> None:
    """Another process holds the lock; what comes meanwhile waits for no commit of its own."""
    (first,) = add(ledger, 1)
    before = ledger.writer_status().groups
    with ledger.engine.connect() as other, ThreadPoolExecutor(21) as clients:
        schema.lock_head(other)
        waiting = [clients.submit(add, ledger, 1)]
        eventually(lambda: ledger.writer_status().lag > 0)
        waiting += [clients.submit(add, ledger, 1) for _ in range(20)]
        eventually(lambda: ledger.writer_status().waiting == 21)
        other.rollback()
        stored = [entry for each in waiting for entry in each.result()]
    assert ledger.writer_status().groups == before + 1
    assert sorted(entry.sequence for entry in stored) == list(range(2, 23))
    assert stored[0].previous_hash == first.hash
    assert findings(ledger.engine) == []


def test_lag_is_the_age_of_the_oldest_unanswered_append(ledger: Ledger) -> None:
    with ThreadPoolExecutor() as pool, held(ledger):
        pool.submit(add, ledger, 1)
        eventually(lambda: ledger.writer_status().lag > 0.05)
    assert ledger.writer_status().lag == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_in_the_writer_leaves_nobody_waiting(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(head: Head, drafts: Sequence[object]) -> list[Entry]:
        raise ZeroDivisionError

    monkeypatch.setattr(tables, "chain", fault)
    for message in ("has stopped", "closed"):
        with pytest.raises(LedgerUnavailable, match=message):
            add(ledger, 1)


def test_a_check_proves_a_durable_write_and_adds_no_entry(ledger: Ledger) -> None:
    last = add(ledger, 2)[-1]
    assert ledger.check() == ledger.head() == Head(2, last.hash)


# ---- drafts


def test_ids_sort_by_time_and_have_the_layout_of_uuid7() -> None:
    ids = [new_id(n * 250) for n in range(1_753_000_000_000_000, 1_753_000_000_000_999)]
    assert ids == sorted(ids)
    assert all(len(i) == 36 and i[14] == "7" and i[19] in "89ab" for i in ids)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (
            "decisions",
            {},
            "kind must be one of decision, override, .*, outcome, .*; got 'decisions'",
        ),
        ("decision", {"rating": "A"}, "missing application, credit_score"),
        ("outcome", {"loss": float("nan")}, "not JSON compliant"),
        ("outcome", {"text": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_a_draft_that_cannot_be_recorded_is_refused(
    kind: str, content: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draft(kind, content)


# ---- overrides


def test_an_override_is_its_own_entry_and_stands_with_its_decision(ledger: Ledger) -> None:
    (referred,) = ledger.append_many([decided("refer")])
    ledger.append_many([override(referred, "approve", "payslips seen", "officer 7")])
    record = ledger.get(referred.id)
    assert record is not None
    (stated,) = record.as_dict()["overrides"]
    assert (stated["decision"], stated["reason"], stated["author"], stated["sequence"]) == (
        "approve",
        "payslips seen",
        "officer 7",
        2,
    )


@pytest.mark.parametrize(
    ("was", "given", "message"),
    [
        ("decline", ("approve", "r", "a"), "only a decision to refer can be overridden"),
        ("refer", ("refer", "r", "a"), "decision must be approve or decline; got 'refer'"),
        ("refer", ("approve", " ", "a"), "reason must not be empty"),
        ("refer", ("approve", "r", ""), "author must not be empty"),
    ],
)
def test_an_override_without_a_reason_is_refused(
    ledger: Ledger, was: str, given: tuple[str, str, str], message: str
) -> None:
    (entry,) = ledger.append_many([decided(was)])
    with pytest.raises(ValueError, match=message):
        override(entry, *given)


def test_of_many_overrides_of_one_decision_at_the_same_time_one_is_recorded(
    ledger: Ledger, database: str
) -> None:
    (referred,) = ledger.append_many([decided("refer")])
    other = Ledger(database)  # as another process has it

    def decide(number: int) -> bool:
        own = override(referred, "approve", "payslips seen", f"officer {number}")
        try:
            steps.decide((ledger, other)[number % 2], own)
        except AlreadyRecorded:
            return False
        return True

    with ThreadPoolExecutor(8) as clerks:
        busy = clerks.submit(add, ledger, 50)
        recorded = list(clerks.map(decide, range(16)))
        busy.result()
    other.close()
    assert recorded.count(True) == 1
    record = ledger.get(referred.id)
    assert record is not None
    assert len(record.later) == 1
    assert findings(ledger.engine) == []


# ---- reading


def test_recent_decisions_come_newest_first_and_page_by_page(ledger: Ledger) -> None:
    add(ledger, 25)
    seen: list[int] = []
    before = None
    while True:
        page = ledger.recent(10, before)
        seen += [record.entry.sequence for record in page.records]
        before = page.next_before
        if before is None:
            break
    assert seen == list(range(25, 0, -1))


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("refer", [2]),
        ("b2 decline", [3, 1]),
        ("medical", [3, 1]),
        ("für", [3, 2, 1]),
        ("100%", [3]),
        ("no_such", []),
    ],
)
def test_a_search_finds_decisions_ratings_and_words(
    ledger: Ledger, search: str, expected: list[int]
) -> None:
    drafts = [decided(), decided("refer", purpose="CAR"), decided(note="100% OF IT; noXsuch")]
    ledger.append_many(drafts)
    page = ledger.recent(10, search=search)
    assert [record.entry.sequence for record in page.records] == expected


def test_a_search_reads_a_limited_span_and_returns_the_next_cursor(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append_many([decided("refer")])
    add(ledger, 9)
    monkeypatch.setattr("service.ledger.reader.SEARCH_SPAN", 5)
    first = ledger.recent(10, search="refer")
    assert (first.records, first.next_before) == ([], 6)
    second = ledger.recent(10, first.next_before, "refer")
    assert ([r.entry.sequence for r in second.records], second.next_before) == ([1], None)


def test_a_decision_stands_with_the_policy_that_decided(ledger: Ledger) -> None:
    contents = [json.dumps({"approve_below": bound}) for bound in (0.1, 0.2)]
    names = [sha256(content.encode()).hexdigest()[:16] for content in contents]
    for name, content in zip(names, contents, strict=True):
        ledger.keep_policy(name, content)
        ledger.keep_policy(name, content)
    identities = [IDENTITY | {"policy": name} for name in (*names, "unknown")]
    content = json.loads(decided().payload)
    stored = ledger.append_many(
        [draft("decision", content | {"identity": identity}) for identity in identities]
    )
    records = [ledger.get(entry.id) for entry in stored]
    assert [r.as_dict()["policy"] for r in records if r] == [
        {"approve_below": 0.1},
        {"approve_below": 0.2},
        None,
    ]
    assert verify(ledger.engine).findings == []
    change(ledger.engine, "UPDATE ledger_policies SET content = '{}'")
    findings = verify(ledger.engine).findings
    assert sorted(f.partition(" was changed")[0] for f in findings) == sorted(
        f"the policy {name}" for name in names
    )
    changed = ledger.get(stored[0].id)
    assert changed is not None
    assert changed.policy is None


def test_an_unknown_id_returns_none(ledger: Ledger) -> None:
    add(ledger, 1)
    assert ledger.get("no such id") is None


# ---- the schema


def test_the_tables_have_the_columns_of_an_entry(ledger: Ledger) -> None:
    add(ledger, 1)
    with ledger.engine.connect() as connection:
        columns = connection.exec_driver_sql("SELECT * FROM ledger_entries").keys()
    assert tuple(columns) == COLUMNS


def test_many_may_create_the_schema_at_once(database: str) -> None:
    ledgers = [Ledger(database) for _ in range(6)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda each: add(each, 5), ledgers))
    assert ledgers[0].head().sequence == 30
    assert findings(ledgers[0].engine) == []
    for each in ledgers:
        each.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/x", "must begin with sqlite:/// or postgresql://; got mysql"),
        ("sqlite://", "must name a file"),
        ("decisions.sqlite", "must be sqlite:///PATH or postgresql://USER@HOST:PORT/NAME"),
        ("postgresql://u:secret@host:port/x", "must be sqlite:///PATH .*; got neither$"),
    ],
)
def test_other_databases_are_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        database_url(url)


@pytest.mark.e2e
def test_a_database_that_is_not_in_utf8_is_refused_with_a_message(postgres: Postgres) -> None:
    ledger = Ledger(postgres.new_database("TEMPLATE template0 ENCODING 'SQL_ASCII'"))
    with pytest.raises(LedgerUnavailable, match="needs a database in UTF8; this one is in SQL_AS"):
        ledger.check()
    with pytest.raises(LedgerUnavailable, match="needs a database in UTF8"):
        asyncio.run(ledger.append(decided()))
    ledger.close()


# ---- the chain holds


@pytest.mark.parametrize(
    "statement", ["UPDATE ledger_entries SET rating = 'A'", "DELETE FROM ledger_entries"]
)
def test_the_table_refuses_changes(ledger: Ledger, statement: str) -> None:
    add(ledger, 1)
    with pytest.raises(Exception, match="append-only"):
        change(ledger.engine, statement)


FORGERIES = {
    "a changed payload": (
        "UPDATE ledger_entries SET payload = replace(payload, ':612,', ':712,') WHERE sequence = 4",
        r"entry 4 .* content does not give its hash",
    ),
    "a changed column": (
        "UPDATE ledger_entries SET decision = 'approve', rating = 'A1' WHERE sequence = 4",
        "entry 4 .* rating, decision differs from the recorded content",
    ),
    "a removed entry": (
        "DELETE FROM ledger_entries WHERE sequence IN (4, 5)",
        "entries 4 to 5 are missing",
    ),
    "a removed beginning": (
        "DELETE FROM ledger_entries WHERE sequence <= 2",
        "entries 1 to 2 are missing",
    ),
    "a removed end": (
        "DELETE FROM ledger_entries WHERE sequence > 8",
        "entries 9 to 10 are missing at the end",
    ),
    "an added end": (
        "INSERT INTO ledger_entries SELECT 11, 'x', time, kind, refers_to, default_probability,"
        " credit_score, rating, decision, model, policy, payload, previous_hash, hash"
        " FROM ledger_entries WHERE sequence = 10",
        r"entry 11 \(x\) does not follow",
    ),
    "an entry before the first": (
        "INSERT INTO ledger_entries SELECT 0, 'x', time, kind, refers_to, default_probability,"
        " credit_score, rating, decision, model, policy, payload, previous_hash, hash"
        " FROM ledger_entries WHERE sequence = 1",
        "1 entries stand outside the chain",
    ),
    "a changed application": (
        "UPDATE ledger_personal SET content = replace(content, '54000', '94000')"
        " WHERE sequence = 4",
        r"entry 4 .* its personal part or its salt does not give the commitment",
    ),
    "a changed salt": (
        "UPDATE ledger_personal SET salt = 'x' WHERE sequence = 4",
        r"entry 4 .* its personal part or its salt does not give the commitment",
    ),
    "a changed protected attribute": (
        "UPDATE ledger_protected SET content = replace(content, 'F', 'M') WHERE sequence = 4",
        r"entry 4 .* its protected part or its salt does not give the commitment",
    ),
    "an application that nobody erased": (
        "DELETE FROM ledger_personal WHERE sequence IN (4, 5)",
        "the personal part of entry 4 is missing, and no entry says it was erased",
    ),
    "a protected attribute that nobody erased": (
        "DELETE FROM ledger_protected WHERE sequence = 4",
        "the protected part of entry 4 is missing, and no entry says it was erased",
    ),
    "a changed head": (
        "UPDATE ledger_head SET hash = 'x'",
        "the head was changed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
def test_verification_finds_a_forgery(ledger: Ledger, forgery: str) -> None:
    ledger.append_many([decided(number=n, gender="F") for n in range(10)])
    disarm(ledger.engine)
    statement, message = FORGERIES[forgery]
    change(ledger.engine, statement)
    with pytest.raises(AssertionError, match=message):
        assert findings(ledger.engine) == []


def test_verification_finds_a_personal_part_that_was_added(ledger: Ledger) -> None:
    entry = add(ledger, 1)[0]
    ledger.append_many([draft("outcome", {"bad": True}, entry.id)])
    copied = "SELECT 2, reference, salt, content FROM ledger_personal"
    change(ledger.engine, f"INSERT INTO ledger_personal {copied}")
    (finding,) = findings(ledger.engine)
    assert finding.endswith("has a personal part it does not state")


def test_verification_finds_two_exchanged_entries(ledger: Ledger) -> None:
    add(ledger, 10)
    disarm(ledger.engine)
    change(ledger.engine, "UPDATE ledger_entries SET sequence = -1 WHERE sequence = 4")
    change(ledger.engine, "UPDATE ledger_entries SET sequence = 4 WHERE sequence = 5")
    change(ledger.engine, "UPDATE ledger_entries SET sequence = 5 WHERE sequence = -1")
    broken = [finding.split()[1] for finding in findings(ledger.engine)]
    assert broken == ["4", "4", "5", "5", "6"]


def test_verification_names_only_the_entry_that_was_changed(ledger: Ledger) -> None:
    add(ledger, 10)
    disarm(ledger.engine)
    change(ledger.engine, FORGERIES["a changed payload"][0])
    assert len(findings(ledger.engine)) == 1


def test_removed_last_entries_are_found_by_a_head_kept_elsewhere(
    ledger: Ledger,
) -> None:
    kept = add(ledger, 10)
    disarm(ledger.engine)
    change(ledger.engine, "DELETE FROM ledger_entries WHERE sequence > 8")
    with ledger.engine.begin() as connection:
        schema.move_head(connection, Head(8, kept[7].hash))
    assert findings(ledger.engine) == []
    (finding,) = findings(ledger.engine, Head(10, kept[-1].hash))
    assert "the chain ends at 8, before the expected 10:" in finding


def test_a_rewritten_chain_is_found_by_a_head_kept_elsewhere(ledger: Ledger) -> None:
    add(ledger, 10)
    (finding,) = findings(ledger.engine, Head(5, "0" * 64))
    assert "entry 5" in finding
    assert "is not the expected head" in finding


def test_verification_continues_while_entries_are_recorded(ledger: Ledger) -> None:
    add(ledger, 10)

    def record_more(done: int, total: int) -> None:
        if total < 13:
            add(ledger, 1)

    assert verify(ledger.engine, progress=record_more).head.sequence == 13


# ---- the commands


def run(database: str, *arguments: str) -> int:
    return main(["--database", database, *arguments])


def run_replay(database: str, entry_id: str, rescore: Callable[..., Any] = dict) -> int:
    return replay.main(["--database", database, entry_id], rescore)


def test_verify_prints_the_head_and_its_exit_code_states_the_result(
    ledger: Ledger, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    last = add(ledger, 5)[-1]
    head = f"5:{last.hash}"
    assert run(database, "verify") == 0
    assert f"the chain of 5 entries is sound; head {head}" in capsys.readouterr().out
    assert run(database, "verify", "--expect-head", head) == 0
    disarm(ledger.engine)
    change(ledger.engine, "DELETE FROM ledger_entries WHERE sequence = 3")
    assert run(database, "verify") == 1
    assert "entries 3 to 3 are missing" in capsys.readouterr().out


def test_verify_reads_only_what_follows_the_head_that_it_kept(
    ledger: Ledger, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "seen.head"
    add(ledger, 5)
    assert run(database, "verify", "--resume", str(kept)) == 0
    entries = add(ledger, 3)
    assert run(database, "verify", "--resume", str(kept)) == 0
    assert "5 of them were verified before" in capsys.readouterr().out
    assert kept.read_text() == f"8:{entries[-1].hash}\n"
    disarm(ledger.engine)
    change(ledger.engine, "UPDATE ledger_entries SET decision = 'approve' WHERE sequence = 2")
    assert run(database, "verify", "--resume", str(kept)) == 0
    assert run(database, "verify") == 1
    change(ledger.engine, "UPDATE ledger_entries SET payload = '{}' WHERE sequence = 8")
    assert run(database, "verify", "--resume", str(kept)) == 1
    assert "entry 8 " in capsys.readouterr().out
    assert kept.read_text() == f"8:{entries[-1].hash}\n"


@pytest.mark.parametrize("loss", ["sequence > 6", "sequence = 7"])
def test_verify_finds_entries_that_were_removed_since_the_head_that_it_kept(
    ledger: Ledger, database: str, tmp_path: Path, loss: str
) -> None:
    kept = tmp_path / "seen.head"
    add(ledger, 6)
    assert run(database, "verify", "--resume", str(kept)) == 0
    add(ledger, 2)
    disarm(ledger.engine)
    change(ledger.engine, f"DELETE FROM ledger_entries WHERE {loss}")  # noqa: S608
    assert run(database, "verify", "--resume", str(kept)) == 1


def test_a_file_that_holds_no_head_is_named(
    ledger: Ledger, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(ledger, 1)
    (tmp_path / "other").write_text("nothing of the kind")
    assert run(database, "verify", "--resume", str(tmp_path / "other")) == 2
    assert "holds no head of a ledger" in capsys.readouterr().err


def test_verify_creates_no_ledger(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"sqlite:///{tmp_path}/none.sqlite", "verify") == 2
    assert "unable to open" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_migrate_creates_the_tables(ledger: Ledger, database: str) -> None:
    assert run(database, "migrate") == 0
    assert ledger.head() == Head(0, GENESIS)


def rescored(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def rescore(application: dict[str, Any]) -> dict[str, Any]:
        assert application == {"income": 54_000, "purpose": "MEDICAL"}
        return {**decided_content(), **changes}

    return rescore


def decided_content() -> dict[str, Any]:
    names = ("default_probability", "credit_score", "rating", "decision", "reasons", "identity")
    drafted = decided()
    content = Entry(1, *drafted[:11], "", "", drafted.personal and drafted.personal.content).content
    return {name: content[name] for name in names}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (0, ["the answer is identical"])),
        (
            {"identity": {**IDENTITY, "image": "i2"}},
            (0, ['identity differs: image: recorded "i1", now "i2"', "the answer is identical"]),
        ),
        (
            {"identity": {**IDENTITY, "model": "m2"}, "rating": "A1"},
            (1, ['model: recorded "m1", now "m2"', 'rating: recorded "B2", now "A1"']),
        ),
        (
            {"default_probability": 0.3},
            (1, ["default_probability: recorded 0.30000000000000004, now 0.3", "although model"]),
        ),
    ],
)
def test_replay_states_that_answers_are_identical_or_what_differs(
    ledger: Ledger,
    database: str,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    expected: tuple[int, list[str]],
) -> None:
    (entry,) = ledger.append_many([decided()])
    code = run_replay(database, entry.id, rescored(**changes))
    printed = capsys.readouterr().out
    assert (code, [line for line in expected[1] if line not in printed]) == (expected[0], [])


def test_only_known_decisions_are_replayed(
    ledger: Ledger, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (entry,) = ledger.append_many([decided("refer")])
    (other,) = ledger.append_many([override(entry, "approve", "seen", "me")])
    assert run_replay(database, other.id) == 2
    assert run_replay(database, "unknown") == 2
    errors = capsys.readouterr().err
    assert "only a decision can be replayed; it is an override" in errors
    assert "no entry has the id unknown" in errors
