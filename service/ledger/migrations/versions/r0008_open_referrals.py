"""Add the queue of open referrals, which the database keeps by itself as entries come.

A referral enters with its decision and leaves with the override. Triggers do it, so that programs
that do not know the table keep it, too.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

_TABLE = """CREATE TABLE ledger_open_referrals (
    sequence BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE)"""
_FILL = """INSERT INTO ledger_open_referrals (sequence, id)
    SELECT sequence, id FROM ledger_entries AS decided
    WHERE kind = 'decision' AND decision = 'refer' AND NOT EXISTS (
        SELECT 1 FROM ledger_entries WHERE refers_to = decided.id AND kind = 'override')"""
_OPEN = """INSERT INTO ledger_open_referrals (sequence, id)
    VALUES (NEW.sequence, NEW.id) ON CONFLICT DO NOTHING"""
_CLOSE = "DELETE FROM ledger_open_referrals WHERE id = NEW.refers_to"
_IS_REFERRAL = "NEW.kind = 'decision' AND NEW.decision = 'refer'"
_TRIGGERS = {
    "sqlite": (
        f"""CREATE TRIGGER ledger_entries_open AFTER INSERT ON ledger_entries
            WHEN {_IS_REFERRAL} BEGIN {_OPEN}; END""",
        f"""CREATE TRIGGER ledger_entries_close AFTER INSERT ON ledger_entries
            WHEN NEW.kind = 'override' BEGIN {_CLOSE}; END""",
    ),
    "postgresql": (
        f"""CREATE FUNCTION ledger_keeps_queue() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.kind = 'override' THEN {_CLOSE}; ELSE {_OPEN}; END IF;
            RETURN NULL; END $$""",
        f"""CREATE TRIGGER ledger_entries_queue AFTER INSERT ON ledger_entries FOR EACH ROW
            WHEN (NEW.kind = 'override' OR {_IS_REFERRAL})
            EXECUTE FUNCTION ledger_keeps_queue()""",
    ),
}


def upgrade() -> None:
    """Create the table and its triggers, and fill it from the entries that there are."""
    op.execute(_TABLE)
    for statement in _TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)
    op.execute(_FILL)
