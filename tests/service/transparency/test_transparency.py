"""Checkpoints, witnesses, receipts, and what a forger with the whole database can do."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import Engine

from service.ledger import Ledger, draft
from service.ledger.personal.erasure import emptied_payload
from service.ledger.storage.database import database_url, open_engine
from service.ledger.storage.entries import GENESIS, Entry, Head, canonical, chain
from service.ledger.storage.entries import Draft as LedgerDraft
from service.ledger.storage.personal_tables import record
from service.ledger.storage.schema import entries as table
from service.ledger.storage.schema import insert
from service.ledger.verify import verify as verify_chain
from service.transparency import verify_receipt
from service.transparency.__main__ import main
from service.transparency.audit import audit
from service.transparency.log import Mismatch, TransparencyLog
from service.transparency.signing import Signer, public_line, sign_checkpoint
from service.transparency.verify_receipt import (
    LOG,
    WITNESS,
    Invalid,
    Key,
    LogCheckpoint,
    parse_checkpoint,
    signers,
    verify,
)
from service.transparency.witness import CosigningRefused, Submission, Witness, application
from service.transparency.witness_client import WitnessClient
from tests.support.books import ROOT
from tests.support.ledger_client import change, decided, disarm

pytest_plugins = ("tests.support.databases",)

SEED = bytes(range(32))


class Signers:
    """The key of a log, and two witnesses that listen on loopback."""

    def __init__(self, folder: Path) -> None:
        self.log = Signer.from_seed("lender.example/ledger", LOG, SEED)
        self.witnesses: list[Witness] = []
        self.clients: list[WitnessClient] = []
        self._stop: list[Callable[[], None]] = []
        for name in ("a", "b"):
            place = folder / f"witness-{name}"
            place.mkdir(parents=True)
            signer = Signer.generate(f"witness.example/{name}", WITNESS)
            witness = Witness(signer, [self.log.key], place)
            address, stop = listen(witness)
            self.witnesses.append(witness)
            self.clients.append(WitnessClient(address, signer.key))
            self._stop.append(stop)

    @property
    def keys(self) -> list[Key]:
        return [witness.signer.key for witness in self.witnesses]

    def close(self) -> None:
        for stop in self._stop:
            stop()


def listen(witness: Witness) -> tuple[str, Callable[[], None]]:
    """Serve a witness on a free port of loopback; return its address, and how to stop it."""
    config = uvicorn.Config(application(witness), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]

    def stop() -> None:
        server.should_exit = True
        thread.join()

    return f"http://127.0.0.1:{port}", stop


@pytest.fixture
def signing(tmp_path: Path) -> Iterator[Signers]:
    made = Signers(tmp_path)
    yield made
    made.close()


def add(ledger: Ledger, count: int) -> list[Entry]:
    return ledger.append_many([decided(number=n, gender="F") for n in range(count)])


def log_of(ledger: Ledger) -> TransparencyLog:
    return TransparencyLog(ledger.engine)


# ---- signed notes


def test_a_note_of_the_specification_is_valid() -> None:
    """The example and the key are those of golang.org/x/mod/sumdb/note, whose format C2SP took."""
    key = Key.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what "
    text += "your problem is.\n"
    raw = base64.b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert raw[:4] == key.id
    assert verify_receipt.check_signature(key, raw[4:], text) is None
    with pytest.raises(Invalid, match="the signature of PeterNeumann is wrong"):
        verify_receipt.check_signature(key, raw[4:], text + " ")


def test_keys_are_kept_in_a_file_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    signer = Signer.generate("lender.example/ledger", LOG)
    signer.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Signer.load(path).key == signer.key == Key.parse(public_line(signer.key))
    with pytest.raises(FileExistsError):
        signer.save(path)
    path.write_text("nothing")
    with pytest.raises(ValueError, match=r"log\.key: this is no private key"):
        Signer.load(path)


@pytest.mark.parametrize("text", ["", "a", "a+b", "a+00000000+AAAA", "a+00000000+!!"])
def test_a_wrong_public_key_is_named(text: str) -> None:
    with pytest.raises(Invalid, match="key"):
        Key.parse(text)


@pytest.mark.parametrize(
    "note",
    ["", "a\n1\n", "a\n1\nx\n\n", "a\n-1\n" + "A" * 43 + "=\n\n", "a\n01\n" + "A" * 43 + "=\n\n"],
)
def test_a_text_that_is_no_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(Invalid, match="tlog-checkpoint"):
        parse_checkpoint(note)


# ---- publishing


def test_every_entry_gets_a_receipt_that_two_witnesses_have_signed(
    ledger: Ledger, signing: Signers
) -> None:
    entries = add(ledger, 700)
    published = log_of(ledger).publish(signing.log, signing.clients)
    assert (published.size, published.refusals) == (700, {})
    for entry in (entries[0], entries[255], entries[256], entries[511], entries[-1]):
        receipt = log_of(ledger).receipt(entry.id)
        content = verify(json.loads(json.dumps(receipt)), signing.log.key, signing.keys)
        assert content == entry.content
        assert len(json.dumps(receipt["proof"])) < 1024


def test_a_receipt_stays_valid_when_the_ledger_grows(ledger: Ledger, signing: Signers) -> None:
    first = add(ledger, 10)[3]
    log_of(ledger).publish(signing.log, signing.clients)
    before = log_of(ledger).receipt(first.id)
    for count in (1, 246, 300, 513):
        add(ledger, count)
        log_of(ledger).publish(signing.log, signing.clients)
        after = log_of(ledger).receipt(first.id)
        assert verify(after, signing.log.key, signing.keys) == first.content
    assert verify(before, signing.log.key, signing.keys) == first.content


def test_an_entry_after_the_last_checkpoint_has_no_receipt_yet(
    ledger: Ledger, signing: Signers
) -> None:
    add(ledger, 2)
    log_of(ledger).publish(signing.log)
    late = add(ledger, 1)[0]
    with pytest.raises(Invalid, match="no checkpoint holds entry 3 yet"):
        log_of(ledger).receipt(late.id)
    with pytest.raises(KeyError):
        log_of(ledger).receipt("nobody")


def test_an_empty_ledger_is_a_tree_too(ledger: Ledger, signing: Signers) -> None:
    ledger.prepare()
    assert log_of(ledger).publish(signing.log, signing.clients).refusals == {}
    add(ledger, 3)
    assert log_of(ledger).publish(signing.log, signing.clients).refusals == {}


def test_a_witness_that_is_away_keeps_nobody_from_publishing(
    ledger: Ledger, signing: Signers
) -> None:
    entry = add(ledger, 5)[0]
    away = WitnessClient("http://127.0.0.1:9", signing.keys[1])
    published = log_of(ledger).publish(signing.log, [signing.clients[0], away])
    assert list(published.refusals) == ["witness.example/b"]
    receipt = log_of(ledger).receipt(entry.id)
    with pytest.raises(Invalid, match="2 witnesses must have signed; 1 of those known here have"):
        verify(receipt, signing.log.key, signing.keys)
    assert log_of(ledger).publish(signing.log, signing.clients).refusals == {}
    assert verify(log_of(ledger).receipt(entry.id), signing.log.key, signing.keys)


def test_the_log_signs_no_entry_that_was_changed(ledger: Ledger, signing: Signers) -> None:
    add(ledger, 300)
    log_of(ledger).publish(signing.log)
    add(ledger, 300)
    disarm(ledger.engine)
    change(ledger.engine, "UPDATE ledger_entries SET payload = '{}' WHERE sequence = 450")
    with pytest.raises(Mismatch, match="entry 450 was changed"):
        log_of(ledger).publish(signing.log)


def test_the_log_signs_nothing_after_entries_were_cut_off(ledger: Ledger, signing: Signers) -> None:
    entries = add(ledger, 9)
    log_of(ledger).publish(signing.log)
    disarm(ledger.engine)
    change(ledger.engine, "DELETE FROM ledger_entries WHERE sequence > 4")
    set_head(ledger.engine, Head(4, entries[3].hash))
    with pytest.raises(Mismatch, match="ends at 4, and 9 were signed"):
        log_of(ledger).publish(signing.log)


def test_another_tree_of_the_same_size_is_not_kept(ledger: Ledger, signing: Signers) -> None:
    entries = add(ledger, 3)
    log_of(ledger).publish(signing.log)
    disarm(ledger.engine)
    if ledger.engine.dialect.name == "sqlite":
        change(ledger.engine, "DROP TRIGGER ledger_entries_no_replace")
    rewrite(ledger.engine, [as_draft(entry) for entry in entries[::-1]])
    with pytest.raises(Mismatch, match="another tree of 3 entries was signed before"):
        log_of(ledger).publish(signing.log)


def test_lost_blocks_of_the_tree_are_made_again(ledger: Ledger, signing: Signers) -> None:
    entry = add(ledger, 1000)[0]
    log_of(ledger).publish(signing.log, signing.clients)
    change(ledger.engine, "DELETE FROM ledger_blocks WHERE block = 1")
    with pytest.raises(Mismatch, match="empty the table ledger_blocks"):
        log_of(ledger).publish(signing.log, signing.clients)
    change(ledger.engine, "DELETE FROM ledger_blocks")
    assert log_of(ledger).publish(signing.log, signing.clients).refusals == {}
    assert verify(log_of(ledger).receipt(entry.id), signing.log.key, signing.keys)


# ---- a witness


def submission(checkpoint: LogCheckpoint, signer: Signer, old: int = 0) -> Submission:
    return Submission(old, [], sign_checkpoint(checkpoint, signer))


def status_of(witness: Witness, request: Submission) -> int:
    with pytest.raises(CosigningRefused) as refused:
        witness.cosign(request)
    return refused.value.status


def test_a_witness_answers_as_tlog_witness_says(signing: Signers) -> None:
    witness, name = signing.witnesses[0], signing.log.key.name
    five = LogCheckpoint(name, 5, bytes([5]) * 32)
    stranger = Signer.generate("stranger.example", LOG)
    impostor = Signer.generate(name, LOG)
    assert (
        status_of(witness, submission(LogCheckpoint("stranger.example", 1, bytes(32)), stranger))
        == 404
    )
    assert status_of(witness, submission(five, impostor)) == 403
    assert status_of(witness, submission(five, signing.log, old=6)) == 400
    assert status_of(witness, submission(five, signing.log, old=4)) == 409
    line = witness.cosign(submission(five, signing.log))
    note = sign_checkpoint(five, signing.log) + line
    assert signers(note, signing.keys[:1])["witness.example/a"] is not None
    assert status_of(witness, submission(five, signing.log)) == 409
    assert witness.cosign(submission(five, signing.log, old=5))
    other = LogCheckpoint(name, 5, bytes([6]) * 32)
    assert status_of(witness, submission(other, signing.log, old=5)) == 409
    six = LogCheckpoint(name, 6, bytes([6]) * 32)
    assert status_of(witness, submission(six, signing.log, old=5)) == 422


def test_a_witness_remembers_across_a_restart(signing: Signers) -> None:
    witness = signing.witnesses[0]
    five = LogCheckpoint(signing.log.key.name, 5, bytes([5]) * 32)
    witness.cosign(submission(five, signing.log))
    again = Witness(witness.signer, [signing.log.key], witness.folder)
    fork = LogCheckpoint(signing.log.key.name, 7, bytes([7]) * 32)
    assert status_of(again, submission(fork, signing.log)) == 409


@pytest.mark.parametrize(
    "body",
    [b"", b"old\n\n", b"old x\n\n", b"old 01\n\n", b"old 0\nAAAA\n\n", b"\xff", b"new 0\n\n"],
)
def test_a_witness_refuses_what_is_no_request(body: bytes) -> None:
    with pytest.raises(CosigningRefused) as refused:
        Submission.parse(body)
    assert refused.value.status == 400


def test_a_cosignature_of_another_key_is_not_taken(ledger: Ledger, signing: Signers) -> None:
    add(ledger, 2)
    address = signing.clients[0].address
    wrong = WitnessClient(address, Signer.generate("witness.example/a", WITNESS).key)
    published = log_of(ledger).publish(signing.log, [wrong])
    assert "no cosignature of its key" in published.refusals["witness.example/a"]


# ---- a forger who can write the whole database


def set_head(engine: Engine, head: Head) -> None:
    values = f"sequence = {head.sequence}, hash = '{head.hash}'"
    change(engine, "UPDATE ledger_head SET " + values)  # noqa: S608


def rewrite(engine: Engine, drafts: list[LedgerDraft]) -> None:
    """Replace the whole ledger by a sound chain of other drafts."""
    change(engine, "DELETE FROM ledger_entries")
    forged = chain(Head(0, GENESIS), drafts)
    with engine.begin() as connection:
        insert(connection, forged)
    set_head(engine, Head(forged[-1].sequence, forged[-1].hash))


def as_draft(entry: Entry, content: dict[str, Any] | None = None) -> LedgerDraft:
    payload = canonical(content) if content else entry.payload
    decision = (content or entry.content).get("decision")
    changed = entry._replace(payload=payload, decision=decision)
    return LedgerDraft(*changed[1:12], sha256(payload.encode()).hexdigest())


def forge(engine: Engine, entries: list[Entry], signed: int, rng: random.Random) -> str:
    """Do one of a forger's deeds to entries that were signed; return which."""
    beside = ["part", "salt", "no part", "protected", "another's part", "empty"]
    deeds = ["approve", "remove", "swap", "insert", "truncate", "repeat", "column", *beside]
    deed = rng.choice(deeds)
    place = rng.randrange(signed)
    if deed in beside:
        forge_parts(engine, entries, place, deed)
        return deed
    drafts = [as_draft(entry) for entry in entries]
    if deed == "approve":
        drafts[place] = as_draft(entries[place], {**entries[place].content, "decision": "approve"})
    elif deed == "remove":
        del drafts[place]
    elif deed == "swap":
        other = rng.choice([n for n in range(len(drafts)) if n != place])
        drafts[place], drafts[other] = drafts[other], drafts[place]
    elif deed == "insert":
        drafts.insert(place, decided("approve"))
    elif deed == "truncate":
        del drafts[place:]
        drafts += [decided() for _ in range(rng.choice([0, len(entries) - place]))]
    elif deed == "repeat":
        later = rng.choice([n for n in range(len(drafts)) if n != place])
        drafts[place] = drafts[later]._replace(id=drafts[place].id)
    if deed == "column":
        where = f"WHERE sequence = {place + 1}"
        change(engine, f"UPDATE ledger_entries SET decision = 'approve' {where}")  # noqa: S608
    elif drafts:
        rewrite(engine, drafts)
    else:
        change(engine, "DELETE FROM ledger_entries")
        set_head(engine, Head(0, GENESIS))
    return deed


def forge_parts(engine: Engine, entries: list[Entry], place: int, deed: str) -> None:
    """Change what stands beside the chain, or pass off a change of a payload as an erasure."""
    where = f" WHERE sequence = {place + 1}"
    statements = {
        "part": "UPDATE ledger_personal SET content = replace(content, '54000', '99000')",
        "salt": "UPDATE ledger_personal SET salt = '00'",
        "no part": "DELETE FROM ledger_personal",
        "protected": "UPDATE ledger_protected SET content = '{}'",
        "another's part": "UPDATE ledger_personal SET (salt, content) = (SELECT salt, content"
        " FROM ledger_personal AS other WHERE other.sequence = 1 + ledger_personal.sequence % 40)",
    }
    if deed in statements:
        change(engine, statements[deed] + where)
        return
    left = json.loads(emptied_payload(entries[place].payload)) | {"decision": "approve"}
    payload = canonical({name: value for name, value in left.items() if name != "commitments"})
    change(engine, "DELETE FROM ledger_personal" + where)  # noqa: S608
    change(engine, "DELETE FROM ledger_protected" + where)  # noqa: S608
    with engine.begin() as connection:
        values = {"payload": payload, "decision": "approve"}
        connection.execute(table.update().where(table.c.sequence == place + 1), values)
        last = entries[-1]
        emptied = {str(place + 1): sha256(payload.encode()).hexdigest()}
        said = {"by": "x", "why": "y", "erased_entries": [[place + 1] * 2], "emptied": emptied}
        (entry,) = record(connection, Head(last.sequence, last.hash), [draft("erase", said)])
    set_head(engine, Head(entry.sequence, entry.hash))


def is_sound(engine: Engine, notes: list[str], signing: Signers) -> bool:
    """Whether an auditor with these checkpoints finds nothing."""
    try:
        audit(engine, notes, signing.log.key, signing.keys)
    except Mismatch:
        return False
    return verify_chain(engine).total == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_forger_with_the_whole_database_is_found_a_thousand_times(
    ledger: Ledger, database: str, signing: Signers, tmp_path: Path
) -> None:
    rng = random.Random(20_261_121)
    notes = []
    for count in (20, 17):
        add(ledger, count)
        notes.append(log_of(ledger).publish(signing.log, signing.clients).note)
    entries = add(ledger, 3) and ledger.after(0, 100)
    ledger.close()
    file = Path(database.removeprefix("sqlite:///"))
    assert is_sound(open_engine(database_url(database)), notes, signing)
    missed = []
    for number in range(1000):
        forged = tmp_path / "forged.sqlite"
        shutil.copy(file, forged)
        engine = open_engine(database_url(f"sqlite:///{forged}"))
        change(engine, "PRAGMA synchronous = OFF")
        disarm(engine)
        change(engine, "DROP TRIGGER ledger_entries_no_replace")
        deed = forge(engine, entries, 37, rng)
        if is_sound(engine, notes, signing):
            missed.append((number, deed))
        engine.dispose()
    assert missed == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_older_file_that_is_put_back_is_found(
    ledger: Ledger, database: str, signing: Signers, tmp_path: Path
) -> None:
    add(ledger, 20)
    old_note = log_of(ledger).publish(signing.log, signing.clients).note
    ledger.engine.dispose()
    file, old = Path(database.removeprefix("sqlite:///")), tmp_path / "old.sqlite"
    with ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(file, old)
    add(ledger, 5)
    new_note = log_of(ledger).publish(signing.log, signing.clients).note
    replayed = open_engine(database_url(f"sqlite:///{old}"))
    assert is_sound(replayed, [old_note], signing)
    with pytest.raises(Mismatch, match="ends at 20, and 25 were signed"):
        audit(replayed, [old_note, new_note], signing.log.key, signing.keys)


def test_no_witness_signs_a_second_history_even_with_the_key_of_the_log(
    ledger: Ledger, signing: Signers
) -> None:
    """A thief of the log's key can sign a fork; nobody will cosign it."""
    entries = add(ledger, 30)
    assert log_of(ledger).publish(signing.log, signing.clients).refusals == {}
    disarm(ledger.engine)
    if ledger.engine.dialect.name == "sqlite":
        change(ledger.engine, "DROP TRIGGER ledger_entries_no_replace")
    drafts = [as_draft(entry) for entry in entries]
    drafts[7] = as_draft(entries[7], {**entries[7].content, "decision": "approve"})
    rewrite(ledger.engine, [*drafts, decided()])
    change(ledger.engine, "DELETE FROM ledger_checkpoints")
    change(ledger.engine, "DELETE FROM ledger_blocks")
    published = log_of(ledger).publish(signing.log, signing.clients)
    assert published.size == 31
    assert len(published.refusals) == 2
    with pytest.raises(Invalid, match="2 witnesses must have signed; 0"):
        verify(log_of(ledger).receipt(entries[7].id), signing.log.key, signing.keys)


# ---- a receipt


def test_a_receipt_with_any_bit_changed_is_invalid(ledger: Ledger, signing: Signers) -> None:
    entry = add(ledger, 40)[11]
    log_of(ledger).publish(signing.log, signing.clients)
    text = json.dumps(log_of(ledger).receipt(entry.id), ensure_ascii=False).encode()
    for place in range(len(text)):
        for bit in range(8):
            changed = bytearray(text)
            changed[place] ^= 1 << bit
            try:
                verify(json.loads(changed.decode()), signing.log.key, signing.keys)
            except ValueError:  # Invalid, or no JSON any more
                continue
            pytest.fail(f"{changed[place - 30 : place + 30]!r} passed")


@pytest.mark.parametrize(
    "receipt",
    [{}, {"entry": 1}, {"entry": {}}, {"entry": {"sequence": "x"}}, {"proof": "!!"}, []],
)
def test_what_is_no_receipt_is_said_to_be_none(receipt: Any) -> None:
    key = Signer.generate("lender.example/ledger", LOG).key
    with pytest.raises(Invalid, match="this is no receipt"):
        verify(receipt, key, [])


def test_the_verifier_runs_alone_with_nothing_of_the_project(
    ledger: Ledger, signing: Signers, tmp_path: Path
) -> None:
    entry = add(ledger, 4)[2]
    log_of(ledger).publish(signing.log, signing.clients)
    alone = tmp_path / "verify_receipt.py"
    shutil.copy(ROOT / "service/transparency/verify_receipt.py", alone)
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps(log_of(ledger).receipt(entry.id)))
    keys = []
    for number, key in enumerate([signing.log.key, *signing.keys]):
        keys.append(tmp_path / f"{number}.pub")
        keys[-1].write_text(public_line(key))
    command = [sys.executable, "-I", str(alone), str(receipt), *map(str, keys)]
    shown = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert entry.id in shown.stdout
    receipt.write_text(receipt.read_text().replace("decline", "approve"))
    refused = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert refused.returncode == 1
    assert "NOT VALID: entry 3 is not in the tree" in refused.stderr
    assert len(alone.read_text().splitlines()) <= 200


# ---- commands


def test_files_are_named_from_the_folder_where_a_command_is_started(tmp_path: Path) -> None:
    arguments = ["keygen", "lender.example/ledger", "--type", "log", "--out", "log.key"]
    subprocess.run(
        [sys.executable, "-m", "service.transparency", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert {path.name for path in tmp_path.iterdir()} == {"log.key", "log.key.pub"}


def test_the_commands_lead_from_keys_to_a_sound_ledger(
    ledger: Ledger,
    database: str,
    signing: Signers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = add(ledger, 300)[7]
    key, kept = tmp_path / "log.key", tmp_path / "kept"
    signing.log.save(key)
    witnesses: list[str] = []
    publics: list[Path] = []
    for client in signing.clients:
        publics.append(tmp_path / f"{len(publics)}.pub")
        publics[-1].write_text(public_line(client.key))
        witnesses += ["--witness", client.address, str(publics[-1])]
    log_key = tmp_path / "log.pub"
    log_key.write_text(public_line(signing.log.key))
    url = ["--database", database]
    assert main([*url, "status"]) == 1
    assert main([*url, "publish", "--key", str(key), "--folder", str(kept), *witnesses]) == 0
    checking = ["verify", str(kept / "300.checkpoint"), "--log", str(log_key), "--witness"]
    assert main([*url, *checking, *map(str, publics)]) == 0
    assert "sound: 300 entries, of which 300 were witnessed" in capsys.readouterr().out
    assert main([*url, "status"]) == 0
    assert "300 entries signed at 20" in capsys.readouterr().out
    add(ledger, 1)
    assert main([*url, "status", "--within", "0"]) == 1
    assert "cosigned by 2\n1 entries since" in capsys.readouterr().out
    assert main([*url, "receipt", entry.id]) == 0
    assert verify(json.loads(capsys.readouterr().out), signing.log.key, signing.keys)
    publishing = [*url, "publish", "--key", str(key), "--witness", "http://127.0.0.1:9"]
    assert main([*publishing, str(publics[0])]) == 1  # nobody listens there
    assert "cosigned by 0 witnesses" in capsys.readouterr().out
    assert main([*url, "prove", "10", "300"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(
        log_of(ledger).consistency_proof(10, 300)
    )
    assert main([*url, "receipt", "nobody"]) == 2
    assert "the ledger has no entry nobody" in capsys.readouterr().err
    disarm(ledger.engine)
    change(ledger.engine, "UPDATE ledger_entries SET decision = 'approve' WHERE sequence = 5")
    assert main([*url, *checking, *map(str, publics)]) == 1
    shown = capsys.readouterr()
    assert "entry 5" in shown.out
    assert "BROKEN: 1 findings" in shown.err


def test_keygen_writes_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "w.key"
    assert main(["keygen", "witness.example/w", "--type", "witness", "--out", str(path)]) == 0
    public = Key.parse((tmp_path / "w.key.pub").read_text())
    assert public == Signer.load(path).key
    assert main(["keygen", "with space", "--type", "log", "--out", str(tmp_path / "x")]) == 2
