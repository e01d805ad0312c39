"""The revision of a database's schema, and the revisions that this program works with.

Revisions are numbers of four digits in one line, so that they compare as text.
"""

import sys

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    inspect,
    select,
)

from service.ledger.storage.database import LedgerUnavailable, connection_to

OLDEST = "0005"  # the newest revision of the previous release: this program runs on it
NEWEST = "0012"  # the newest migration of this program

_metadata = MetaData()
_revision = Table("alembic_version", _metadata, Column("version_num", Text))
# Releases before Alembic counted their schema's versions here; they refuse one above 5.
_version = Table("schema_version", _metadata, Column("version", BigInteger))


def read(connection: Connection) -> str | None:
    """Return the revision of the database, None when it has no tables of a ledger."""
    tables = inspect(connection)
    if tables.has_table(_revision.name):
        revision = connection.execute(select(_revision.c.version_num)).scalar_one_or_none()
        if revision is not None:
            return str(revision)
    if not tables.has_table(_version.name):
        return None
    return f"{connection.execute(select(_version.c.version)).scalar_one():04}"


def require_tables(engine: Engine) -> str:
    """Return the revision of the database; creates nothing.

    Raises LedgerUnavailable when it has no tables, or older ones than this program can use.
    """
    with connection_to(engine) as connection:
        revision = read(connection)
    if revision is None:
        raise LedgerUnavailable(
            "the database has no tables of a ledger: start the service, or run "
            "`python -m service.ledger migrate`"
        )
    if revision < OLDEST:
        raise LedgerUnavailable(
            f"the ledger's schema has revision {revision}, and this program needs {OLDEST} or a "
            "newer one: run `python -m service.ledger migrate`"
        )
    return revision


def advise(revision: str) -> None:
    """Print that a migration waits, when the database is older than this program."""
    if revision < NEWEST:
        print(
            f"ledger: the schema has revision {revision}, and this program brings {NEWEST}; "
            "`python -m service.ledger migrate` upgrades it while the service runs",
            file=sys.stderr,
            flush=True,
        )
