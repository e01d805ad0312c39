"""On PostgreSQL each account can do what it is for, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect

from service.ledger import Ledger, LedgerUnavailable
from service.ledger.__main__ import main
from service.ledger.migrations import roles
from service.ledger.migrations.roles import RIGHTS
from service.ledger.storage import personal_tables as tables
from service.ledger.storage.database import connection_to, database_url, open_engine
from service.ledger.verify import verify
from service.monitoring.reports import Reports
from service.transparency.log import TransparencyLog
from service.transparency.signing import Signer
from service.transparency.verify_receipt import LOG
from tests.support.databases import Postgres
from tests.support.ledger_client import change, decided

pytest_plugins = ("tests.support.databases",)

ACCOUNTS = {
    "writer": "credit_service",
    "signer": "credit_log",
    "reader": "credit_audit",
    "auditor": "credit_auditor",
    "eraser": "credit_eraser",
    "monitor": "credit_monitor",
}


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCOUNT_PASSWORD", "of a test")


def roles_command(owner: str) -> list[str]:
    command = ["--database", owner, "roles"]
    for role, name in ACCOUNTS.items():
        command += ["--account", f"ledger_{role}", name, "ACCOUNT_PASSWORD"]
    return command


@pytest.fixture
def owner(postgres: Postgres) -> str:
    """The owner's address of a database with tables, roles and accounts."""
    url = postgres.new_database()
    assert main(roles_command(url)) == 0
    return url


def address(owner: str, role: str) -> str:
    return owner.replace("//postgres@", f"//{ACCOUNTS[role]}@")


@pytest.fixture
def service(owner: str) -> Iterator[Ledger]:
    ledger = Ledger(address(owner, "writer"))
    yield ledger
    ledger.close()


@pytest.mark.e2e
def test_the_service_records_as_the_writer_and_an_auditor_verifies_as_the_reader(
    owner: str, service: Ledger
) -> None:
    service.prepare()
    service.append_many([decided(number=n) for n in range(3)])
    service.keep_policy("44136fa355b3", "{}")
    service.check()
    reports = Reports(service.engine)
    assert reports.open_incidents() == []
    auditor = open_engine(database_url(address(owner, "reader")))
    assert verify(auditor, None).findings == []
    auditor.dispose()


@pytest.mark.e2e
def test_the_log_signs_and_signs_again_as_the_signer(owner: str, service: Ledger) -> None:
    service.append_many([decided(number=n) for n in range(300)])
    signer = Signer.generate("lender.example/ledger", LOG)
    log = TransparencyLog(open_engine(database_url(address(owner, "signer"))))
    assert log.publish(signer).size == 300
    service.append_many([decided()])
    assert log.publish(signer).size == 301
    assert log.publish(signer).size == 301
    log.engine.dispose()


FORGERIES = (
    "UPDATE ledger_entries SET decision = 'approve'",
    "DELETE FROM ledger_entries",
    "TRUNCATE ledger_entries",
    "DROP TABLE ledger_entries",
    "ALTER TABLE ledger_entries DISABLE TRIGGER ALL",
    "ALTER TABLE ledger_entries RENAME TO aside",
    "DROP TRIGGER ledger_entries_append_only ON ledger_entries",
    "CREATE OR REPLACE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RETURN NULL; END $$",
    "SET session_replication_role = replica",
    "INSERT INTO ledger_entries SELECT * FROM ledger_entries LIMIT 1 "
    "ON CONFLICT (sequence) DO UPDATE SET decision = 'approve'",
    "CREATE RULE forge AS ON INSERT TO ledger_entries DO INSTEAD NOTHING",
    "CREATE TABLE mine (x INT)",
    "CREATE TEMP TABLE ledger_entries (x INT)",
    "CREATE SCHEMA mine",
    "DELETE FROM ledger_head",
    "DELETE FROM ledger_policies",
    "UPDATE ledger_policies SET content = '{}'",
    "UPDATE alembic_version SET version_num = '0001'",
    "UPDATE incidents SET key = 'another'",
    "INSERT INTO ledger_checkpoints (size, time, note) VALUES (1, 'now', 'forged')",
    "INSERT INTO ledger_blocks (block, hash) VALUES (0, 'forged')",
    "SET ROLE postgres",
    "SET ROLE ledger_signer",
    "SET SESSION AUTHORIZATION postgres",
    "CREATE ROLE mine SUPERUSER LOGIN",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "GRANT ledger_signer TO CURRENT_USER",
    "GRANT UPDATE ON ledger_entries TO CURRENT_USER; UPDATE ledger_entries SET kind = NULL",
    "COPY ledger_entries TO PROGRAM 'cat'",
    "DELETE FROM ledger_verifications",
    "UPDATE ledger_verifications SET findings = 0",
    "UPDATE ledger_personal SET content = '{}'",
    "UPDATE ledger_protected SET salt = ''",
    "TRUNCATE ledger_personal, ledger_protected",
    "DROP TABLE ledger_personal",
    "SET ROLE ledger_eraser",
    "SET ROLE ledger_auditor",
    "SET ROLE ledger_monitor",
    "GRANT ledger_monitor TO CURRENT_USER",
    "GRANT ledger_eraser TO CURRENT_USER",
    "LOCK TABLE ledger_entries IN ACCESS EXCLUSIVE MODE",
)


def refused(url: str, statement: str) -> bool:
    with psycopg.connect(url) as connection:
        try:
            connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return True
        return False


@pytest.mark.e2e
@pytest.mark.parametrize("role", ACCOUNTS)
def test_no_account_can_change_what_was_recorded(owner: str, service: Ledger, role: str) -> None:
    service.append_many([decided()])
    signs = (
        "INSERT INTO ledger_checkpoints",
        "INSERT INTO ledger_blocks",
        "SET ROLE ledger_signer",
    )
    # What a role is for: an account may set the role that it has, and grant it to itself again.
    is_for = {
        "signer": (*signs, "GRANT ledger_signer"),
        "eraser": ("SET ROLE ledger_eraser", "GRANT ledger_eraser"),
        "auditor": ("SET ROLE ledger_auditor",),
        "monitor": ("SET ROLE ledger_monitor", "GRANT ledger_monitor"),
    }
    attempts = [text for text in FORGERIES if not text.startswith(is_for.get(role, ("-",)))]
    assert [text for text in attempts if not refused(address(owner, role), text)] == []
    assert verify(service.engine, None).findings == []


PRIVATE = (
    "SELECT content FROM ledger_protected",
    "SELECT salt FROM ledger_protected",
    "COPY ledger_protected TO STDOUT",
    "SELECT ledger_protected FROM ledger_protected",
    "DELETE FROM ledger_protected RETURNING content",
    "DELETE FROM ledger_personal RETURNING content",
    "INSERT INTO ledger_protected VALUES (1, '', '') ON CONFLICT (sequence) DO NOTHING",
    "DELETE FROM ledger_personal",
    "DELETE FROM ledger_protected",
    "SELECT sequence FROM ledger_protected",
    "SELECT FROM ledger_protected WHERE content LIKE '%F%'",
    "INSERT INTO ledger_protected VALUES (9, '', '') RETURNING content",
    "INSERT INTO ledger_protected SELECT sequence + 9, salt, content FROM ledger_protected",
    "INSERT INTO ledger_personal SELECT sequence + 9, '', salt, content FROM ledger_protected",
    "UPDATE ledger_protected SET content = content",
    "LOCK TABLE ledger_protected IN ACCESS SHARE MODE",
    "EXPLAIN (ANALYZE) SELECT FROM ledger_protected WHERE content > 'M'",
    "CREATE VIEW mine AS SELECT * FROM ledger_protected",
    "CREATE FUNCTION mine() RETURNS text SECURITY DEFINER LANGUAGE sql AS "
    "'SELECT content FROM ledger_protected'",
)
READS = ("SELECT", "COPY", "EXPLAIN", "LOCK TABLE")
MAY: dict[str, tuple[str, ...]] = {
    "writer": (),
    "auditor": READS,
    "monitor": READS,
    "eraser": (
        *("DELETE FROM ledger_personal", "DELETE FROM ledger_protected"),
        *("SELECT sequence", "LOCK TABLE"),
    ),
}


@pytest.mark.e2e
@pytest.mark.parametrize("role", ACCOUNTS)
def test_only_their_roles_read_protected_attributes_and_erase(
    owner: str, service: Ledger, role: str
) -> None:
    service.append_many([decided(gender="F")])

    def may(text: str) -> bool:
        return text.startswith(MAY.get(role, ())) and "RETURNING" not in text

    attempts = [text for text in PRIVATE if not may(text)]
    assert [text for text in attempts if not refused(address(owner, role), text)] == []
    assert verify(service.engine).findings == []


@pytest.mark.e2e
def test_the_monitor_reads_protected_attributes_and_stores_reports(
    owner: str, service: Ledger
) -> None:
    entry = service.append_many([decided(gender="F")])[0]
    monitor = open_engine(database_url(address(owner, "monitor")))
    assert tables.read_protected(monitor, [entry.sequence]) == {1: '{"gender":"F"}'}
    assert tables.read_protected(service.engine, [entry.sequence]) == {}
    reports = Reports(monitor)
    finding = {"field": "sex", "rule": "groups", "loudness": "warning", "value": 0.5, "words": "-"}
    reports.settle("100", [finding], "2026-11-22T00:00:00.000+00:00")
    assert len(Reports(service.engine).open_incidents()) == 1
    reports.settle("100", [], "2026-11-22T00:01:00.000+00:00")
    assert Reports(service.engine).open_incidents() == []
    monitor.dispose()


@pytest.mark.e2e
def test_the_eraser_erases_and_reads_no_content(owner: str, service: Ledger) -> None:
    entry = service.append_many([decided(reference="CASE-1", gender="F")])[0]
    eraser = address(owner, "eraser")
    for text in ("SELECT content FROM ledger_personal", "SELECT salt FROM ledger_personal"):
        assert refused(eraser, text)
    words = ["--by", "Officer", "--why", "request 17"]
    assert main(["--database", eraser, "erase", "--reference", "CASE-1", *words]) == 0
    record = service.get(entry.id)
    assert record is not None
    assert record.as_dict()["erased"] is True
    for role in ("reader", "auditor"):
        assert main(["--database", address(owner, role), "verify"]) == 0
    engine = open_engine(database_url(owner))
    with connection_to(engine) as connection:
        rows = connection.exec_driver_sql(
            "SELECT count(*) FROM ledger_personal FULL JOIN ledger_protected USING (sequence)"
        )
        assert rows.scalar_one() == 0
    engine.dispose()


@pytest.mark.e2e
def test_the_eraser_leaves_entries_of_earlier_releases_to_the_owner(
    owner: str, service: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(tables, "exist", lambda connection: False)
        service.append_many([decided(reference="CASE-1")])
    command = ["erase", "--reference", "CASE-1", "--by", "Officer", "--why", "request 17"]
    assert main(["--database", address(owner, "eraser"), *command]) == 2
    assert "as the owner of the tables" in capsys.readouterr().err
    assert main(["--database", owner, *command]) == 0
    assert verify(service.engine).erased == 1


@pytest.mark.e2e
@pytest.mark.parametrize("table", ["ledger_entries", "ledger_head", "ledger_probe", "incidents"])
def test_a_reader_can_write_to_no_table(owner: str, table: str) -> None:
    statement = f"INSERT INTO {table} DEFAULT VALUES"
    assert refused(address(owner, "reader"), statement)


@pytest.mark.e2e
def test_a_writer_creates_no_tables_and_migrates_none(postgres: Postgres) -> None:
    owner = postgres.new_database()
    assert main(roles_command(owner)) == 0
    engine = open_engine(database_url(owner))
    change(engine, "DELETE FROM alembic_version")
    change(engine, "UPDATE schema_version SET version = 4")
    engine.dispose()
    ledger = Ledger(address(owner, "writer"))
    with pytest.raises(LedgerUnavailable, match="revision 0004"):
        ledger.prepare()
    ledger.close()
    assert main(["--database", address(owner, "writer"), "migrate"]) == 2


@pytest.mark.e2e
def test_a_migration_gives_the_roles_their_rights_again(owner: str, service: Ledger) -> None:
    engine = open_engine(database_url(owner))
    change(engine, "REVOKE ALL ON ledger_entries FROM ledger_writer")
    change(engine, "GRANT UPDATE ON ledger_entries TO ledger_writer")
    engine.dispose()
    assert main(["--database", owner, "migrate"]) == 0
    service.append_many([decided()])
    update = "UPDATE ledger_entries SET decision = 'approve'"
    assert refused(address(owner, "writer"), update)


@pytest.mark.e2e
def test_a_migration_gives_rights_where_a_role_of_this_release_is_not_there_yet(
    owner: str, service: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "ROLES", (*roles.ROLES, "ledger_of_tomorrow"))
    engine = open_engine(database_url(owner))
    change(engine, "REVOKE ALL ON ledger_entries FROM ledger_writer")
    engine.dispose()
    assert main(["--database", owner, "migrate"]) == 0
    service.append_many([decided()])


@pytest.mark.e2e
def test_every_table_says_what_each_role_may_do_with_it(owner: str) -> None:
    engine = open_engine(database_url(owner))
    with connection_to(engine) as connection:
        tables = inspect(connection).get_table_names()
    engine.dispose()
    assert sorted(tables) == sorted(RIGHTS)


@pytest.mark.e2e
def test_a_password_reaches_the_server_as_a_digest_and_can_be_changed(
    postgres: Postgres, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored() -> str:
        with psycopg.connect(postgres.url()) as connection:
            query = "SELECT rolpassword FROM pg_authid WHERE rolname = 'credit_service'"
            row = connection.execute(query).fetchone()
        assert row is not None
        return str(row[0])

    before = stored()
    monkeypatch.setenv("ACCOUNT_PASSWORD", "another")
    assert main(roles_command(owner)) == 0
    assert before.startswith("SCRAM-SHA-256$")
    assert stored() != before


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("role", "password", "words"),
    [("writer", "x", "ROLE must be one of"), ("ledger_writer", "", "must hold the secret")],
)
def test_a_wrong_account_is_named(
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    role: str,
    password: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SECRET", password)
    command = ["--database", postgres.new_database(), "roles", "--account", role, "x", "SECRET"]
    assert main(command) == 2
    assert words in capsys.readouterr().err


def test_sqlite_has_no_roles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--database", f"sqlite:///{tmp_path}/ledger.sqlite", "roles"]) == 2
    assert "SQLite has no roles" in capsys.readouterr().err
