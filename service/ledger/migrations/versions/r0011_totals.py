"""Add the totals of decisions by day, hour and minute, which the database keeps as entries come.

The dashboard reads them instead of every decision. Triggers add to them in the transaction of the
entries, so that programs that do not know the table keep it, too.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_KEY = "length, period, decision, rating, band, model, policy"
_TABLE = """CREATE TABLE ledger_totals (
    length BIGINT NOT NULL,
    period TEXT NOT NULL,
    decision TEXT NOT NULL,
    rating TEXT NOT NULL,
    band BIGINT NOT NULL,
    model TEXT NOT NULL,
    policy TEXT NOT NULL,
    decisions BIGINT NOT NULL,
    pd DOUBLE PRECISION NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    PRIMARY KEY ({key}))"""
# The period of a decision is the beginning of its time: 10 characters name its day, 13 its hour.
_LENGTHS = (
    "(SELECT 10 AS length UNION ALL SELECT 13 AS length UNION ALL SELECT 16 AS length) AS lengths"
)
_BAND = {  # the lower end of a band of 20 points of the credit score
    "sqlite": "CAST({row}.credit_score AS INTEGER) / 20 * 20",
    "postgresql": "CAST(trunc({row}.credit_score) AS BIGINT) / 20 * 20",
}
_ADD = """INSERT INTO ledger_totals
    SELECT lengths.length, substr({row}.time, 1, lengths.length), coalesce({row}.decision, ''),
        coalesce({row}.rating, ''), coalesce({band}, 0), coalesce({row}.model, ''),
        coalesce({row}.policy, ''), {figures}
    FROM {source}{lengths} {condition}
    ON CONFLICT ({key}) DO UPDATE SET
        decisions = ledger_totals.decisions + excluded.decisions,
        pd = ledger_totals.pd + excluded.pd,
        first = {least}(ledger_totals.first, excluded.first),
        last = {greatest}(ledger_totals.last, excluded.last)"""
_PD = "coalesce({row}.default_probability, 0)"
_ONE = f"1, {_PD}, {{row}}.time, {{row}}.time"
_MANY = f"count(*), sum({_PD}), min({{row}}.time), max({{row}}.time)"
_EVERY = "WHERE {row}.kind = 'decision' GROUP BY 1, 2, 3, 4, 5, 6, 7"


def upgrade() -> None:
    """Create the table and its triggers, and fill it from the entries that there are."""
    dialect = op.get_bind().dialect.name
    op.execute(_TABLE.format(key=_KEY) + (" WITHOUT ROWID" if dialect == "sqlite" else ""))
    if dialect == "sqlite":
        op.execute(
            f"""CREATE TRIGGER ledger_entries_totals AFTER INSERT ON ledger_entries
                WHEN NEW.kind = 'decision' BEGIN {_add(dialect, "NEW", _ONE, "WHERE true")}; END"""
        )
    else:
        op.execute(
            f"""CREATE FUNCTION ledger_keeps_totals() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF EXISTS (SELECT FROM added WHERE kind = 'decision') THEN
                {_add(dialect, "added", _MANY, _EVERY)}; END IF;
                RETURN NULL; END $$"""
        )
        op.execute(
            """CREATE TRIGGER ledger_entries_totals AFTER INSERT ON ledger_entries
                REFERENCING NEW TABLE AS added FOR EACH STATEMENT
                EXECUTE FUNCTION ledger_keeps_totals()"""
        )
    op.execute(add(dialect))


def add(dialect: str) -> str:
    """Return the statement that adds every decision of the ledger to the totals."""
    return _add(dialect, "ledger_entries", _MANY, _EVERY)


def _add(dialect: str, row: str, figures: str, condition: str) -> str:
    """Return the statement that adds the decisions of `row` to the totals."""
    return _ADD.format(
        row=row,
        band=_BAND[dialect].format(row=row),
        figures=figures.format(row=row),
        source="" if row == "NEW" else f"{row}, ",
        lengths=_LENGTHS,
        condition=condition.format(row=row),
        key=_KEY,
        least="min" if dialect == "sqlite" else "least",
        greatest="max" if dialect == "sqlite" else "greatest",
    )
