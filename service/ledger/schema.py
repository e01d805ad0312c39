"""The ledger's tables and how older ones become the present ones."""

from collections.abc import Sequence
from functools import cache
from itertools import chain as flatten
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    MetaData,
    Table,
    Text,
    inspect,
    select,
)

from service.ledger.database import (
    LedgerUnavailable,
    begin,
    connected,
    make_file,
)
from service.ledger.entries import GENESIS, Entry, Head

STATEMENT = 64  # rows of one INSERT

metadata = MetaData()
_TYPES: dict[str, Any] = {
    "sequence": BigInteger,
    "default_probability": Float,
    "credit_score": Float,
}
entries = Table(
    "ledger_entries",
    metadata,
    *(Column(name, _TYPES.get(name, Text)) for name in Entry._fields),
)
head = Table("ledger_head", metadata, Column("sequence", BigInteger), Column("hash", Text))
schema_version = Table("schema_version", metadata, Column("version", BigInteger))

# Every migration is a list of statements for each database and is never edited afterwards.
_TABLES = (
    """CREATE TABLE ledger_entries (
        sequence {key} PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        time TEXT NOT NULL,
        kind TEXT NOT NULL,
        refers_to TEXT,
        default_probability DOUBLE PRECISION,
        credit_score DOUBLE PRECISION,
        rating TEXT,
        decision TEXT,
        model TEXT,
        policy TEXT,
        payload TEXT NOT NULL,
        previous_hash TEXT NOT NULL,
        hash TEXT NOT NULL)""",
    "CREATE TABLE ledger_head (sequence {key} NOT NULL, hash TEXT NOT NULL)",
    "INSERT INTO ledger_head VALUES (0, '{genesis}')",
    "CREATE INDEX ledger_entries_by_kind ON ledger_entries (kind, sequence)",
    # Holds all that dashboards group by, so that they never read payloads.
    """CREATE INDEX ledger_entries_by_time ON ledger_entries
        (kind, time, decision, rating, default_probability, credit_score, model, policy)""",
    """CREATE INDEX ledger_entries_by_reference ON ledger_entries (refers_to)
        WHERE refers_to IS NOT NULL""",
)
_APPEND_ONLY_SQLITE = tuple(
    f"""CREATE TRIGGER ledger_entries_no_{verb} BEFORE {verb} ON ledger_entries
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"""
    for verb in ("update", "delete")
)
_APPEND_ONLY_POSTGRESQL = (
    """CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$""",
    """CREATE TRIGGER ledger_entries_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only()""",
)


def _for_type(key: str) -> tuple[str, ...]:
    return tuple(statement.format(key=key, genesis=GENESIS) for statement in _TABLES)


_MONITORING = (
    """CREATE TABLE drift_reports (
        id BIGINT PRIMARY KEY,
        time TEXT NOT NULL,
        "window" BIGINT NOT NULL,
        last_sequence BIGINT NOT NULL,
        loudest TEXT NOT NULL,
        model TEXT NOT NULL,
        content TEXT NOT NULL)""",
    """CREATE INDEX drift_reports_by_window ON drift_reports ("window", model, last_sequence)""",
    """CREATE TABLE incidents (
        id BIGINT PRIMARY KEY,
        key TEXT NOT NULL,
        opened TEXT NOT NULL,
        closed TEXT,
        loudness TEXT NOT NULL,
        words TEXT NOT NULL,
        value DOUBLE PRECISION NOT NULL)""",
)

MIGRATIONS: list[dict[str, tuple[str, ...]]] = [
    {
        "sqlite": _for_type("INTEGER") + _APPEND_ONLY_SQLITE,
        "postgresql": _for_type("BIGINT") + _APPEND_ONLY_POSTGRESQL,
    },
    {"sqlite": _MONITORING, "postgresql": _MONITORING},
]
_MIGRATION_LOCK = 7_264_331_902  # any number that only this program uses


def migrate(engine: Engine) -> None:
    """Bring the database to this program's schema; does nothing when it is already there.

    Raises LedgerUnavailable when the schema is newer, or the database cannot be used.
    """
    make_file(engine)
    with connected(engine) as connection:
        if version_of(connection) < len(MIGRATIONS):
            connection.rollback()
            _upgrade(connection)


def version_of(connection: Connection) -> int:
    """The version of the schema found; 0 for an empty database.

    Raises LedgerUnavailable when it is newer than this program knows.
    """
    if not inspect(connection).has_table(schema_version.name):
        return 0
    version = int(connection.execute(select(schema_version.c.version)).scalar_one())
    if version > len(MIGRATIONS):
        raise LedgerUnavailable(
            f"the ledger has schema version {version} and this program knows versions up to "
            f"{len(MIGRATIONS)}: run the newer program that made it"
        )
    return version


def _upgrade(connection: Connection) -> None:
    begin(connection)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    version = version_of(connection)
    if version == 0:
        connection.exec_driver_sql("CREATE TABLE schema_version (version BIGINT NOT NULL)")
        connection.exec_driver_sql("INSERT INTO schema_version VALUES (0)")
    for statements in MIGRATIONS[version:]:
        for statement in statements[connection.dialect.name]:
            connection.exec_driver_sql(statement)
    connection.execute(schema_version.update().values(version=len(MIGRATIONS)))
    connection.commit()


_READ_HEAD = select(head)
_LOCK_HEAD = select(head).with_for_update()
_MOVE_HEAD = head.update()


def read_head(connection: Connection) -> Head:
    """The end of the chain as the database has it."""
    return Head(*connection.execute(_READ_HEAD).one())


def lock_head(connection: Connection) -> Head:
    """Begin a writing transaction and hold the end of the chain until it ends."""
    begin(connection)
    return Head(*connection.execute(_LOCK_HEAD).one())


def move_head(connection: Connection, to: Head) -> None:
    """Set the end of the chain, inside the transaction that locked it."""
    connection.execute(_MOVE_HEAD, {"sequence": to.sequence, "hash": to.hash})


def insert(connection: Connection, rows: Sequence[Entry]) -> None:
    """Insert rows, many by one statement: each statement costs the thread its turn once."""
    placeholder = "?" if connection.dialect.name == "sqlite" else "%s"
    for start in range(0, len(rows), STATEMENT):
        part = rows[start : start + STATEMENT]
        statement = _statement(len(part), placeholder)
        connection.exec_driver_sql(statement, tuple(flatten.from_iterable(part)))


@cache
def _statement(rows: int, placeholder: str) -> str:
    row = "(" + ", ".join([placeholder] * len(Entry._fields)) + ")"
    columns = ", ".join(Entry._fields)
    return f"INSERT INTO {entries.name} ({columns}) VALUES " + ", ".join([row] * rows)  # noqa: S608
