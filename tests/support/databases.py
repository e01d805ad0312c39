"""Fixtures: the ledger on SQLite and on a real PostgreSQL server that the tests start."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from service.ledger import Ledger
from tests.support.ledger_client import eventually
from tests.support.ports import free_port


def missing_part(what: str) -> None:
    """Skip the test because a system part is missing; fail where all parts are required."""
    if os.environ.get("REQUIRE_REAL_PARTS") == "1":
        pytest.fail(f"REQUIRE_REAL_PARTS=1, but {what}")
    pytest.skip(what)


def _binaries() -> Path:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not programs and on_path is None:
        missing_part("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    return programs[-1].parent if programs else Path(str(on_path)).resolve().parent


class Postgres:
    """A private PostgreSQL server on a free loopback port; durable as a real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = "postgres" if os.geteuid() == 0 else None  # initdb refuses root
        self.binaries = _binaries()
        self.port = free_port()
        if self.user:
            shutil.chown(folder, self.user, self.user)
        command = self._command(
            "initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"
        )
        subprocess.run(command, check=True, user=self.user, cwd=folder, stdout=subprocess.DEVNULL)
        self.start()

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(self.binaries / program), "-D", str(self.folder / "data"), *arguments]

    def start(self) -> None:
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", f"port={self.port}")
        options = [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            command = self._command("postgres", *options)
            self.process = subprocess.Popen(command, user=self.user, cwd=self.folder, stderr=log)
        eventually(self._answers, seconds=120)

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: int = signal.SIGQUIT) -> None:
        """End the server: SIGQUIT as in a crash, SIGINT in order."""
        self.process.send_signal(how)
        self.process.wait(60)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def new_database(self, options: str = "") -> str:
        name = f"ledger_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="ledger-postgresql-"))
    server = Postgres(folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LEDGER_CHECKPOINTS", str(folder / "checkpoints"))
        yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new and empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger/decisions.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    opened = Ledger(database)
    yield opened
    opened.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A real file system of 64 MB, which 30 outages under load do not fill by themselves."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-small-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode != 0:
        missing_part("a small file system needs mount, as root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture(params=["sqlite", "postgresql"])
def on_small_disk(request: pytest.FixtureRequest, small_disk: Path) -> Iterator[str]:
    """The address of a new database on the small disk."""
    if request.param == "sqlite":
        yield f"sqlite:///{small_disk}/ledger.sqlite"
        return
    server: Postgres = request.getfixturevalue("postgres")
    if server.user:
        shutil.chown(small_disk, server.user)
    server.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    url = server.new_database("TABLESPACE small")
    yield url
    server.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")
    server.execute("DROP TABLESPACE small")
