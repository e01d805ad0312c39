"""The schema expands first: the releases before and after a migration run on both sides of it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.exc import SAWarning

from service.ledger import Ledger, LedgerUnavailable
from service.ledger.__main__ import main
from service.ledger.migrations import revisions, upgrade
from service.ledger.migrations.versions import r0005_baseline as baseline
from service.ledger.storage.database import connection_to, database_url, open_engine
from service.ledger.verify import verify
from tests.support.books import ROOT
from tests.support.ledger_client import change, decided, eventually

pytest_plugins = ("tests.support.databases",)

NEXT = "9999"  # the revision of a later release
COMMAND = """
import sys
from pathlib import Path
from service.ledger.__main__ import main
from service.ledger.migrations import revisions, upgrade
upgrade.VERSIONS.append(Path(sys.argv[2]))
revisions.NEWEST = "9999"
sys.exit(main(["--database", sys.argv[1], "migrate"]))
"""
EXPANDS = (
    "op.execute('CREATE TABLE later (x BIGINT)')",
    "op.execute('ALTER TABLE ledger_entries ADD COLUMN later TEXT')",
    "op.execute('CREATE INDEX later_entries ON ledger_entries (later)')",
    "op.execute('ALTER TABLE ledger_head ADD COLUMN later TEXT')",
    "op.execute('ALTER TABLE ledger_policies ADD COLUMN later TEXT')",
)
OLD_PROGRAM = """
import sys
from hashlib import sha256
from service.ledger import Ledger
from service.ledger.verify import verify
from tests.support.ledger_client import decided
ledger = Ledger(sys.argv[1])
before = ledger.append_many([decided(number=n) for n in range(3)])
ledger.keep_policy(sha256(b"{}").hexdigest()[:12], "{}")
ledger.check()
assert ledger.get(before[0].id).entry == before[0]
assert len(ledger.recent(50).records) == ledger.head().sequence
assert verify(ledger.engine, None).findings == []
ledger.close()
"""


def later_release(folder: Path, *statements: str) -> Path:
    """Write the migration of a later release into `folder`."""
    folder.mkdir(exist_ok=True)
    lines = "".join(f"    {statement}\n" for statement in statements)
    (folder / f"r{NEXT}_later.py").write_text(
        f"import os, signal, time\nfrom alembic import op\nrevision = '{NEXT}'\n"
        f"down_revision = '{revisions.NEWEST}'\n\ndef upgrade():\n{lines}"
    )
    return folder


def migrate_later(database: str, folder: Path) -> subprocess.Popen[str]:
    """Start a process that migrates as the later release does."""
    command = [sys.executable, "-c", COMMAND, database, str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=pipe, stderr=pipe)


def finish(process: subprocess.Popen[str]) -> int:
    out, err = process.communicate(timeout=120)
    print(out, err)
    return process.returncode


def schema_of(database: str) -> dict[str, object]:
    """Return the columns and indexes of every table; SQLAlchemy skips an index of expressions."""
    engine = open_engine(database_url(database))
    with connection_to(engine) as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        tables = inspect(connection)
        shape = {
            name: (
                [(column["name"], str(column["type"])) for column in tables.get_columns(name)],
                sorted(str(index["name"]) for index in tables.get_indexes(name)),
            )
            for name in tables.get_table_names()
        }
        revision = revisions.read(connection)
    engine.dispose()
    return {**shape, "revision": revision}


def make_version(database: str, version: int) -> None:
    """Create the tables of a version before Alembic."""
    engine = open_engine(database_url(database))
    upgrade.create_file(engine)
    change(engine, "CREATE TABLE schema_version (version BIGINT NOT NULL)")
    change(engine, f"INSERT INTO schema_version VALUES ({version})")  # noqa: S608
    for statements in baseline._VERSIONS[:version]:
        for statement in statements[engine.dialect.name]:
            change(engine, statement)
    engine.dispose()


@pytest.fixture(scope="module")
def previous_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the last release before Alembic, out of git's history."""

    def git(*arguments: str) -> bytes:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    removed = "service/ledger/migrations.py"
    try:
        commit = git("rev-list", "-1", "HEAD", "--", removed).decode().strip()
        archive = git("archive", f"{commit}^", "service", "stages", "tests/support")
    except subprocess.CalledProcessError:
        pytest.skip(f"git's history does not reach back to {removed}")
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def run_previous(folder: Path, database: str) -> None:
    command = [sys.executable, "-c", OLD_PROGRAM, database]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def run_this(database: str) -> None:
    ledger = Ledger(database)
    (entry,) = ledger.append_many([decided()])
    ledger.keep_policy(sha256(b"{}").hexdigest()[:12], "{}")
    ledger.check()
    history = ledger.get(entry.id)
    assert history is not None
    assert history.entry == entry
    assert len(ledger.recent(50).records) == ledger.head().sequence
    assert verify(ledger.engine, None).findings == []
    ledger.close()


# ---- the migrations themselves


def test_the_migrations_form_one_line_up_to_the_newest() -> None:
    config = Config()
    config.set_main_option("script_location", str(upgrade.FOLDER))
    scripts = ScriptDirectory.from_config(config)
    line = [script.revision for script in scripts.walk_revisions()][::-1]
    assert line == [f"{number:04}" for number in range(5, 5 + len(line))]
    assert scripts.get_heads() == [revisions.NEWEST]
    assert revisions.OLDEST in line


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_tables_of_before_alembic_are_taken_over(
    database: str, tmp_path: Path, version: int
) -> None:
    make_version(database, version)
    assert main(["--database", database, "migrate"]) == 0
    run_this(database)
    if database.startswith("sqlite"):
        fresh = f"sqlite:///{tmp_path}/fresh.sqlite"
        run_this(fresh)
        assert schema_of(database) == schema_of(fresh)


def test_a_schema_that_is_too_old_is_left_as_it_is_and_says_what_to_do(database: str) -> None:
    make_version(database, 4)
    before = schema_of(database)
    ledger = Ledger(database)
    for use in (ledger.prepare, ledger.check, lambda: ledger.append_many([decided()])):
        with pytest.raises(LedgerUnavailable, match=r"revision 0004, .* run `python -m service"):
            use()
    ledger.close()
    assert schema_of(database) == before


# ---- the releases around this one


def test_the_previous_release_and_this_one_share_a_database(
    database: str, previous_release: Path
) -> None:
    run_previous(previous_release, database)
    run_this(database)
    assert main(["--database", database, "migrate"]) == 0
    run_previous(previous_release, database)
    run_this(database)


def test_the_previous_release_runs_on_a_new_database(database: str, previous_release: Path) -> None:
    run_this(database)
    run_previous(previous_release, database)


def test_this_release_runs_on_the_schema_of_the_next(database: str, tmp_path: Path) -> None:
    run_this(database)
    assert finish(migrate_later(database, later_release(tmp_path / "later", *EXPANDS))) == 0
    after = schema_of(database)
    assert after["revision"] == NEXT
    run_this(database)
    assert main(["--database", database, "migrate"]) == 0
    assert schema_of(database) == after


# ---- when a migration runs


def test_the_service_upgrades_no_schema_and_says_that_a_migration_waits(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_this(database)
    before = schema_of(database)
    monkeypatch.setattr(revisions, "NEWEST", NEXT)
    run_this(database)
    assert schema_of(database) == before
    assert f"this program brings {NEXT}; `python -m service.ledger migrate`" in (
        capsys.readouterr().err
    )


@pytest.fixture
def appending(database: str) -> Iterator[list[str]]:
    """The ids that a second ledger records without a pause until the test ends."""
    ids: list[str] = []
    stop = threading.Event()
    ledger = Ledger(database)
    ledger.append_many([decided()])

    def append() -> None:
        while not stop.is_set():
            with suppress(LedgerUnavailable):
                ids.extend(entry.id for entry in ledger.append_many([decided()]))

    thread = threading.Thread(target=append)
    thread.start()
    yield ids
    stop.set()
    thread.join()
    stored = {entry.id for entry in ledger.after(0, 1_000_000)}
    ledger.close()
    assert stored >= set(ids)


def test_a_migration_runs_while_decisions_are_recorded(
    database: str, appending: list[str], tmp_path: Path
) -> None:
    assert finish(migrate_later(database, later_release(tmp_path / "later", *EXPANDS))) == 0
    before = len(appending)
    eventually(lambda: len(appending) > before + 3)
    assert schema_of(database)["revision"] == NEXT


@pytest.mark.parametrize(
    "fault", ["os.kill(os.getpid(), signal.SIGKILL)", "op.execute('SELECT nonsense')", "1 / 0"]
)
def test_an_interrupted_migration_leaves_the_old_schema_whole(
    database: str, tmp_path: Path, fault: str
) -> None:
    run_this(database)
    before = schema_of(database)
    folder = later_release(tmp_path / "later", *EXPANDS, fault)
    assert finish(migrate_later(database, folder)) != 0
    assert schema_of(database) == before
    run_this(database)
    later_release(folder, *EXPANDS)
    assert finish(migrate_later(database, folder)) == 0
    run_this(database)


def test_of_two_migrations_at_once_one_runs_and_the_other_finds_it_done(
    database: str, tmp_path: Path
) -> None:
    run_this(database)
    folder = later_release(tmp_path / "later", "time.sleep(3)", *EXPANDS)
    both = [migrate_later(database, folder) for _ in range(2)]
    assert [finish(process) for process in both] == [0, 0]
    assert schema_of(database)["revision"] == NEXT


def test_verifying_an_old_schema_says_what_to_do(
    ledger: Ledger, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.append_many([decided()])
    change(ledger.engine, "DROP TABLE ledger_policies")
    change(ledger.engine, "UPDATE alembic_version SET version_num = '0003'")
    assert main(["--database", database, "verify"]) == 2
    assert "run `python -m service.ledger migrate`" in capsys.readouterr().err
