"""A request with a key is recorded once: by several processes, and where they are killed."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time

import pytest

from service.ledger import Ledger
from service.ledger.claims import AlreadyClaimed, Claim, find, forget
from service.ledger.verify import verify
from tests.support.books import ROOT
from tests.support.deciding_client import decide_once
from tests.support.ledger_client import change, decided

pytest_plugins = ("tests.support.databases",)


def deciding(database: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.deciding_client", database, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)


def pairs(text: str) -> dict[str, str]:
    """The keys and identifiers of whole lines."""
    return dict(line.split() for line in text.splitlines() if len(line.split()) == 2)


def test_a_key_is_recorded_once_in_one_group_and_later(ledger: Ledger) -> None:
    async def many() -> list[str]:
        return await asyncio.gather(*(decide_once(ledger, "key") for _ in range(20)))

    identifiers = set(asyncio.run(many())) | {asyncio.run(decide_once(ledger, "key"))}
    assert len(identifiers) == 1
    assert [entry.id for entry in ledger.after(0, 10)] == list(identifiers)


def test_other_appends_of_the_group_are_recorded(ledger: Ledger) -> None:
    async def many() -> None:
        await decide_once(ledger, "key")
        others = (ledger.append_group([decided(), decided()]) for _ in range(5))
        keyed = (decide_once(ledger, "key") for _ in range(5))
        results = await asyncio.gather(*others, *keyed)
        assert [len(entries) for entries in results[:5]] == [2] * 5

    asyncio.run(many())
    assert ledger.head().sequence == 11
    assert verify(ledger.engine).findings == []


def test_a_claim_without_entries_is_kept(ledger: Ledger) -> None:
    claim = Claim("key", "body", "every row was refused")
    asyncio.run(ledger.append_group([], claim))
    with pytest.raises(AlreadyClaimed) as error:
        asyncio.run(ledger.append_group([], claim))
    assert error.value.earlier == claim
    assert ledger.head().sequence == 0


def test_two_processes_record_each_key_once(ledger: Ledger, database: str) -> None:
    ledger.prepare()
    processes = [deciding(database, 150) for _ in range(2)]
    first, second = (pairs(process.communicate(timeout=300)[0]) for process in processes)
    assert first == second
    assert len(first) == 150
    entries = ledger.after(0, 1000)
    assert sorted(entry.id for entry in entries) == sorted(first.values())


def test_a_killed_process_leaves_each_key_whole_or_unused(ledger: Ledger, database: str) -> None:
    ledger.prepare()
    answered: dict[str, str] = {}
    generator = random.Random(4)
    for _ in range(4):
        process = deciding(database, 1_000_000)
        assert process.stdout
        line = process.stdout.readline()
        time.sleep(generator.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        new = pairs(line + process.stdout.read())
        process.wait()
        process.stdout.close()
        assert {key: new[key] for key in new.keys() & answered.keys()} == {
            key: answered[key] for key in new.keys() & answered.keys()
        }
        answered |= new
    ids = {entry.id for entry in ledger.after(0, 1_000_000)}
    assert set(answered.values()) <= ids
    claimed = {key: find(ledger.engine, key) for key in answered}
    assert {key: claim.answer for key, claim in claimed.items() if claim} == answered
    assert len(ids) == ledger.head().sequence
    assert verify(ledger.engine).findings == []


def test_old_keys_are_forgotten_and_their_entries_stay(ledger: Ledger) -> None:
    first = asyncio.run(decide_once(ledger, "old"))
    change(ledger.engine, "UPDATE ledger_claims SET time = '2020-01-01T00:00:00+00:00'")
    kept = asyncio.run(decide_once(ledger, "new"))
    forget(ledger.engine, 7)
    assert find(ledger.engine, "old") is None
    assert asyncio.run(decide_once(ledger, "new")) == kept
    again = asyncio.run(decide_once(ledger, "old"))
    assert {entry.id for entry in ledger.after(0, 10)} == {first, kept, again}


def test_a_database_that_was_not_migrated_says_so(ledger: Ledger) -> None:
    ledger.prepare()
    change(ledger.engine, "UPDATE alembic_version SET version_num = '0005'")
    assert not ledger.has_claims()
    forget(ledger.engine, 7)
