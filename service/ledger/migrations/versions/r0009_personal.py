"""Add the tables of the personal parts, which stand apart from the chain and can be erased.

The results of verifications get a table too, for the metrics of the service.

Entries that were recorded before hold their personal data in `payload`, and stay as they are.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

_KEY = {"sqlite": "INTEGER", "postgresql": "BIGINT"}  # an INTEGER is the row's place in the file


def upgrade() -> None:
    """Create the tables; a program that does not know them records entries as before."""
    key = _KEY[op.get_bind().dialect.name]
    op.execute(
        f"""CREATE TABLE ledger_personal (
            sequence {key} PRIMARY KEY,
            reference TEXT,
            salt TEXT NOT NULL,
            content TEXT NOT NULL)"""
    )
    op.execute(
        """CREATE INDEX ledger_personal_by_reference ON ledger_personal (reference, sequence)
            WHERE reference IS NOT NULL"""
    )
    op.execute(
        f"""CREATE TABLE ledger_protected (
            sequence {key} PRIMARY KEY,
            salt TEXT NOT NULL,
            content TEXT NOT NULL)"""
    )
    op.execute(
        """CREATE TABLE ledger_verifications (
            time TEXT NOT NULL,
            sequence BIGINT NOT NULL,
            hash TEXT NOT NULL,
            findings BIGINT NOT NULL)"""
    )
