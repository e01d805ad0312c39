"""Add the claims of requests that must be recorded once (`Idempotency-Key`)."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table; a program that does not know it goes on without it."""
    op.execute(
        """CREATE TABLE ledger_claims (
            key TEXT PRIMARY KEY,
            body TEXT NOT NULL,
            answer TEXT NOT NULL,
            time TEXT NOT NULL)"""
    )
    op.execute("CREATE INDEX ledger_claims_by_time ON ledger_claims (time)")
