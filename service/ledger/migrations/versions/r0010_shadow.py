"""Let a challenger score each decision once: an index refuses a second score of the same one."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the index; a program that does not know the kind of entry records none of it."""
    op.execute(
        """CREATE UNIQUE INDEX ledger_entries_by_challenger
            ON ledger_entries (refers_to, model, policy) WHERE kind = 'shadow'"""
    )
