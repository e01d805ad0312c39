"""Create the tables of version 5, or upgrade older ones to it.

Releases before Alembic counted versions in the table `schema_version`. They run on the tables that
this migration makes, and on those of later migrations, because that table goes on saying 5.
"""

from alembic import op
from sqlalchemy import inspect

revision = "0005"
down_revision = None

_GENESIS = "0" * 64

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
    return tuple(statement.format(key=key, genesis=_GENESIS) for statement in _TABLES)


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

_VERSIONS: list[dict[str, tuple[str, ...]]] = [
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


def upgrade() -> None:
    """Run the statements of the versions that the database lacks."""
    connection = op.get_bind()
    version = 0
    if inspect(connection).has_table("schema_version"):
        version = connection.exec_driver_sql("SELECT version FROM schema_version").scalar_one()
    else:
        op.execute("CREATE TABLE schema_version (version BIGINT NOT NULL)")
        op.execute("INSERT INTO schema_version (version) VALUES (0)")
    for statements in _VERSIONS[version:]:
        for statement in statements[connection.dialect.name]:
            op.execute(statement)
    op.execute(f"UPDATE schema_version SET version = {len(_VERSIONS)}")  # noqa: S608
