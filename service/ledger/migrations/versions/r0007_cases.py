"""Index decisions by the reference of their case, which stands in the recorded content.

Decisions without a reference are not in the index, so they cost it nothing.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

# The queries of `service.ledger.reader` use the same expressions.
_CASES = {
    "sqlite": """CREATE INDEX ledger_entries_by_case
        ON ledger_entries (json_extract(payload, '$.reference'), sequence)
        WHERE kind = 'decision' AND instr(payload, '"reference":') > 0""",
    "postgresql": """CREATE INDEX ledger_entries_by_case
        ON ledger_entries ((payload::jsonb ->> 'reference'), sequence)
        WHERE kind = 'decision' AND strpos(payload, '"reference":') > 0""",
}


def upgrade() -> None:
    """Create the index."""
    op.execute(_CASES[op.get_bind().dialect.name])
