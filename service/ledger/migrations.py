"""Create the ledger's tables, and upgrade the tables of older versions."""

from sqlalchemy import Connection, Engine, inspect, select

from service.ledger.checkpoint import Checkpoint
from service.ledger.connections import LONG_DEADLINE
from service.ledger.database import (
    LedgerUnavailable,
    begin_writing,
    connection_to,
    create_file,
    database_file,
    open_engine,
)
from service.ledger.entries import GENESIS, Head
from service.ledger.schema import schema_version

# A migration is a list of statements per database. It is never edited after its release.
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
    # Contains every column that the dashboard groups by, so that it reads no payloads.
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

_PROBE_AND_MODEL_INDEX = (
    # A probe of the ledger writes here, so that it adds no entry.
    "CREATE TABLE ledger_probe (content TEXT NOT NULL)",
    # For the monitor, which reads the newest decisions of one model.
    "CREATE INDEX ledger_entries_by_model ON ledger_entries (model, kind, sequence)",
)
_NO_REPLACE_SQLITE = (
    # INSERT OR REPLACE removes the old row without running the triggers on deletion.
    """CREATE TRIGGER ledger_entries_no_replace BEFORE INSERT ON ledger_entries
        WHEN EXISTS (SELECT 1 FROM ledger_entries
            WHERE sequence = NEW.sequence OR id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
)

_TRANSPARENCY = (
    # The hashes of the Merkle tree's whole blocks, and the checkpoints that were signed.
    "CREATE TABLE ledger_blocks (block BIGINT PRIMARY KEY, hash TEXT NOT NULL)",
    """CREATE TABLE ledger_checkpoints (
        size BIGINT PRIMARY KEY, time TEXT NOT NULL, note TEXT NOT NULL)""",
)

_POLICIES = (
    # The policies that decided, each under the digest of its content, which entries name.
    "CREATE TABLE ledger_policies (policy TEXT PRIMARY KEY, content TEXT NOT NULL)",
)

MIGRATIONS: list[dict[str, tuple[str, ...]]] = [
    {
        "sqlite": _for_type("INTEGER") + _APPEND_ONLY_SQLITE,
        "postgresql": _for_type("BIGINT") + _APPEND_ONLY_POSTGRESQL,
    },
    {"sqlite": _MONITORING, "postgresql": _MONITORING},
    {
        "sqlite": _PROBE_AND_MODEL_INDEX + _NO_REPLACE_SQLITE,
        "postgresql": _PROBE_AND_MODEL_INDEX,
    },
    {"sqlite": _TRANSPARENCY, "postgresql": _TRANSPARENCY},
    {"sqlite": _POLICIES, "postgresql": _POLICIES},
]
_MIGRATION_LOCK = 7_264_331_902  # any number that only this program uses


def migrate(engine: Engine, checkpoint: Checkpoint) -> None:
    """Create or upgrade the tables to this program's schema, unless they have it already.

    Raises LedgerUnavailable when the schema is newer, when the database cannot be used, and when
    it is empty although the checkpoint says that it held entries.
    """
    kept = checkpoint.read()
    held = kept is not None and kept.sequence > 0
    file = database_file(engine.url)
    if file and not file.exists():
        if held:
            raise _lost(kept, checkpoint)
        create_file(engine)
    with connection_to(engine) as connection:
        version = version_of(connection)
    if version == 0 and held:
        raise _lost(kept, checkpoint)
    if version < len(MIGRATIONS):
        slow = open_engine(engine.url, LONG_DEADLINE)
        with connection_to(slow) as connection:
            _upgrade(connection)
        slow.dispose()


def _lost(kept: Head | None, checkpoint: Checkpoint) -> LedgerUnavailable:
    """Return the error about a database that is empty although it held entries."""
    return LedgerUnavailable(
        f"the ledger is gone: the database is empty, and {checkpoint.path} says that it held "
        f"{kept.sequence if kept else 0} entries; restore it, or begin a new one with "
        "`python -m service.ledger init`"
    )


def require_tables(engine: Engine) -> None:
    """Raise LedgerUnavailable unless the database has this program's schema; creates nothing."""
    with connection_to(engine) as connection:
        version = version_of(connection)
    if version < len(MIGRATIONS):
        raise LedgerUnavailable(
            f"the database has schema version {version} of the ledger and this program needs "
            f"{len(MIGRATIONS)}: start the service, or run `python -m service.ledger migrate`"
        )


def version_of(connection: Connection) -> int:
    """Return the version of the schema; 0 for an empty database.

    Raises LedgerUnavailable when it is newer than this program knows.
    """
    if not inspect(connection).has_table(schema_version.name):
        return 0
    return require_known_version(connection)


def require_known_version(connection: Connection) -> int:
    """Return the version that the database states; raises LedgerUnavailable when it is newer."""
    version = int(connection.execute(select(schema_version.c.version)).scalar_one())
    if version > len(MIGRATIONS):
        raise LedgerUnavailable(
            f"the ledger has schema version {version} and this program knows versions up to "
            f"{len(MIGRATIONS)}: run the newer program that made it"
        )
    return version


def _upgrade(connection: Connection) -> None:
    begin_writing(connection, _MIGRATION_LOCK)
    version = version_of(connection)
    if version == 0:
        connection.exec_driver_sql("CREATE TABLE schema_version (version BIGINT NOT NULL)")
        connection.exec_driver_sql("INSERT INTO schema_version VALUES (0)")
    for statements in MIGRATIONS[version:]:
        for statement in statements[connection.dialect.name]:
            connection.exec_driver_sql(statement)
    connection.execute(schema_version.update().values(version=len(MIGRATIONS)))
    connection.commit()
