"""What was erased cannot be read again, and everything that was proved stays proved."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from service import replay
from service.ledger import Entry, Ledger, draft, override
from service.ledger.__main__ import main
from service.ledger.claims import Claim, find
from service.ledger.personal.erasure import emptied_payload
from service.ledger.storage import personal_tables as tables
from service.ledger.storage.entries import unseal
from service.ledger.verify import Verification, verify
from service.transparency.log import TransparencyLog
from service.transparency.signing import Signer
from service.transparency.verify_receipt import LOG
from service.transparency.verify_receipt import verify as verify_receipt
from tests.support.databases import Postgres
from tests.support.ledger_client import change, decided, disarm

pytest_plugins = ("tests.support.databases",)

WHY = ("--by", "Data Protection Officer", "--why", "request 17")


def erase(database: str, *options: str) -> int:
    return main(["--database", database, "erase", *options, *WHY])


def add_case(ledger: Ledger, number: int, **application: object) -> Entry:
    """Record a decision of the case `number`, with personal data that nothing else contains."""
    case = decided(
        "refer",
        reference=f"CASE-{number:05}",
        name=f"Applicant Unmistakable {number:05}",
        gender=f"gender-{number:05}",
        **application,
    )
    return ledger.append_many([case])[0]


def add_earlier(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, number: int) -> Entry:
    """Record a decision as an earlier release did: with everything in the payload."""
    with monkeypatch.context() as earlier:
        earlier.setattr(tables, "exist", lambda connection: False)
        return add_case(ledger, number)


def sound(ledger: Ledger) -> Verification:
    verification = verify(ledger.engine)
    assert verification.findings == []
    return verification


def content_of(ledger: Ledger, entry: Entry) -> dict[str, Any]:
    record = ledger.get(entry.id)
    assert record is not None
    return record.as_dict()


def test_what_was_recorded_reads_back_whole_but_for_protected_attributes(ledger: Ledger) -> None:
    entry = add_case(ledger, 1)
    content = content_of(ledger, entry)
    assert content["reference"] == "CASE-00001"
    assert content["application"]["name"] == "Applicant Unmistakable 00001"
    assert "gender" not in content["application"]
    assert content["reasons"]
    assert "Unmistakable" not in entry.payload
    assert "CASE-" not in entry.payload
    protected = tables.read_protected(ledger.engine, [entry.sequence])
    assert protected == {1: '{"gender":"gender-00001"}'}


def test_an_erased_case_is_gone_and_the_others_stay(ledger: Ledger, database: str) -> None:
    entries = [add_case(ledger, number) for number in range(5)]
    about = override(entries[2], "approve", "She is Unmistakable too", "Officer")
    ledger.append_many([about, draft("outcome", {"bad": True}, entries[2].id)])
    assert erase(database, "--reference", "CASE-00002") == 0
    content = content_of(ledger, entries[2])
    assert content["erased"] is True
    assert (content["application"], content["reasons"]) == ({}, [])
    assert "reference" not in content
    assert content["decision"] == "refer"
    assert content["overrides"][0]["reason"] == ""
    assert content["outcomes"][0]["bad"] is True
    assert ledger.recent(9, reference="CASE-00002").records == []
    assert ledger.recent(9, search="Unmistakable 00002").records == []
    assert ledger.earlier(["CASE-00002"]) == {}
    assert len(ledger.recent(9, search="Unmistakable").records) == 4
    assert sound(ledger).erased == 2
    said = ledger.after(7, 1)[0].content
    assert (said["kind"], said["by"], said["why"]) == ("erase", *WHY[1::2])
    assert said["erased_entries"] == [[3, 3], [6, 6]]


def test_erasing_again_finds_nothing(
    ledger: Ledger, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = add_case(ledger, 1)
    assert erase(database, "--id", entry.id) == 0
    assert erase(database, "--id", entry.id) == 0
    assert "nothing to erase" in capsys.readouterr().out
    assert ledger.head().sequence == 2


def test_decisions_expire_by_the_setting(
    ledger: Ledger,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, new = add_case(ledger, 1), add_case(ledger, 2)
    assert erase(database, "--expired") == 2
    assert "ERASE_AFTER_DAYS" in capsys.readouterr().err
    disarm(ledger.engine)
    time = "2020-01-01T00:00:00.000000Z"
    change(ledger.engine, f"UPDATE ledger_entries SET time = '{time}' WHERE sequence = 1")  # noqa: S608
    monkeypatch.setenv("ERASE_AFTER_DAYS", "30")
    assert erase(database, "--expired") == 0
    assert content_of(ledger, old)["erased"] is True
    assert "erased" not in content_of(ledger, new)


def test_receipts_and_proofs_verify_before_and_after(ledger: Ledger, database: str) -> None:
    entries = [add_case(ledger, number) for number in range(9)]
    signer = Signer.generate("lender.example/ledger", LOG)
    log = TransparencyLog(ledger.engine)
    root = log.publish(signer).note
    before = log.receipt(entries[3].id)
    assert erase(database, "--reference", "CASE-00003") == 0
    after = log.receipt(entries[3].id)
    log.publish(signer)
    assert after["checkpoint"] == root
    assert after["proof"] == before["proof"]
    shown = verify_receipt(before, signer.key, [], 0)
    assert shown["application"]["name"] == "Applicant Unmistakable 00003"
    assert verify_receipt(after, signer.key, [], 0)["erased"] is True
    later = log.receipt(entries[3].id)
    assert verify_receipt(later, signer.key, [], 0)["decision"] == "refer"


def test_the_answer_of_an_erased_request_is_gone_and_its_key_stays_used(
    ledger: Ledger, database: str
) -> None:
    ledger.prepare()
    case = decided(reference="CASE-1")
    answer = json.dumps({"prediction_id": case.id, "reference": "CASE-1"}, separators=(",", ":"))
    asyncio_run(ledger, case, Claim("k", "b", answer))
    assert erase(database, "--reference", "CASE-1") == 0
    assert find(ledger.engine, "k") == Claim("k", "", "")


def asyncio_run(ledger: Ledger, case: Any, claim: Claim) -> None:
    import asyncio  # noqa: PLC0415

    asyncio.run(ledger.append_group([case], claim))


def test_replay_says_that_a_decision_was_erased(
    ledger: Ledger, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = add_case(ledger, 1)
    assert erase(database, "--id", entry.id) == 0
    assert replay.main(["--database", database, entry.id], dict) == 2
    assert "was erased" in capsys.readouterr().err


def test_an_entry_of_an_earlier_release_is_emptied_and_the_chain_stays(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.prepare()
    entries = [add_earlier(ledger, monkeypatch, number) for number in range(3)]
    assert "Unmistakable" in entries[1].payload
    signer = Signer.generate("lender.example/ledger", LOG)
    log = TransparencyLog(ledger.engine)
    log.publish(signer)
    before = log.receipt(entries[1].id)
    assert erase(database, "--reference", "CASE-00001") == 0
    content = content_of(ledger, entries[1])
    assert (content["erased"], content["application"]) == (True, {})
    assert "Unmistakable" not in str(content)
    assert ledger.recent(9, reference="CASE-00001").records == []
    assert sound(ledger).erased == 1
    log.publish(signer)
    assert verify_receipt(before, signer.key, [], 0)["reference"] == "CASE-00001"
    with pytest.raises(Exception, match="append-only"):
        change(ledger.engine, "UPDATE ledger_entries SET rating = 'A'")


FORGERIES = {
    "a decision in an emptied payload": (
        "UPDATE ledger_entries SET payload = replace(payload, '\"refer\"', '\"approve\"'),"
        " decision = 'approve' WHERE sequence = 2",
        "entry 2 was changed: it is emptied, and no entry says so",
    ),
    "an erased part that is back": (
        "INSERT INTO ledger_personal SELECT 4, reference, salt, content FROM ledger_personal"
        " WHERE sequence = 3",
        "are there, though erased",
    ),
    "a part that nobody erased": (
        "DELETE FROM ledger_personal WHERE sequence = 3",
        "the personal part of entry 3 is missing",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_verification_finds_a_forged_erasure(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch, forgery: str
) -> None:
    ledger.prepare()
    for number in (1, 2):
        add_earlier(ledger, monkeypatch, number)
    for number in (3, 4):
        add_case(ledger, number)
    assert erase(database, "--reference", "CASE-00002", "--reference", "CASE-00004") == 0
    sound(ledger)
    disarm(ledger.engine)
    statement, message = FORGERIES[forgery]
    change(ledger.engine, statement)
    assert any(message in finding for finding in verify(ledger.engine).findings)


def test_a_payload_that_a_forger_empties_is_found(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.prepare()
    left = emptied_payload(add_earlier(ledger, monkeypatch, 1).payload)
    disarm(ledger.engine)
    with ledger.engine.begin() as connection:
        update = tables.entries.update().where(tables.entries.c.sequence == 1)
        connection.execute(update, {"payload": left})
    (finding,) = verify(ledger.engine).findings
    assert finding == "entry 1 was changed: it is emptied, and no entry says so"


def test_a_database_that_was_not_migrated_gets_whole_payloads() -> None:
    whole = unseal(decided(reference="R", gender="F"))
    content = json.loads(whole.payload)
    assert content["application"]["gender"] == "F"
    assert content["reference"] == "R"
    assert "commitments" not in content
    assert (whole.personal, whole.protected) == (None, None)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("earlier", [False, True])
def test_no_file_of_the_database_holds_what_was_erased(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch, earlier: bool
) -> None:
    """Cases in any order, of any size, erased one by one while others are recorded."""
    random = Random(20_261_122)
    ledger.prepare()
    numbers = random.sample(range(100_000), 400)
    for number in numbers:
        if earlier:
            add_earlier(ledger, monkeypatch, number)
        else:
            add_case(ledger, number, note="x" * random.randrange(6_000))
    gone = random.sample(numbers, 60)
    for start in range(0, len(gone), 20):
        options = [f"CASE-{number:05}" for number in gone[start : start + 20]]
        assert erase(database, *(part for o in options for part in ("--reference", o))) == 0
    folder = Path(database.removeprefix("sqlite:///")).parent
    held = b"".join(file.read_bytes() for file in folder.iterdir())
    for number in gone:
        for text in (f"CASE-{number:05}", f"Unmistakable {number:05}", f"gender-{number:05}"):
            assert text.encode() not in held
    stays = next(number for number in numbers if number not in gone)
    assert f"CASE-{stays:05}".encode() in held
    sound(ledger)


WAL_STEPS = (
    "ALTER SYSTEM SET wal_recycle = off",
    "SELECT pg_reload_conf()",
    "VACUUM (FULL) ledger_personal",
    "VACUUM (FULL) ledger_protected",
    "VACUUM (FULL) ledger_claims",
    "SELECT pg_switch_wal()",
    "CHECKPOINT",
)


@pytest.mark.e2e
def test_no_file_of_postgresql_holds_what_was_erased_after_the_operators_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server is of this test alone: its settings are changed, and all its files are read."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-erased-"))
    monkeypatch.setenv("LEDGER_CHECKPOINTS", str(folder / "checkpoints"))
    server = Postgres(folder)
    try:
        url = server.new_database()
        ledger = Ledger(url)
        for number in range(50):
            add_case(ledger, number)

        def files_with(text: str) -> list[str]:
            files = [file for file in (folder / "data").rglob("*") if file.is_file()]
            return [file.name for file in files if text.encode() in file.read_bytes()]

        assert erase(url, "--reference", "CASE-00017") == 0
        assert "write-ahead log" in capsys.readouterr().out
        assert files_with("Unmistakable 00017")  # as the command says
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in WAL_STEPS:
                connection.execute(statement.encode())
        for text in ("CASE-00017", "Unmistakable 00017", "gender-00017"):
            assert files_with(text) == []
        assert files_with("Unmistakable 00018")
        sound(ledger)
        ledger.close()
    finally:
        server.stop()
        shutil.rmtree(folder)
