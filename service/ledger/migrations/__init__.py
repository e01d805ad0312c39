"""Create the ledger's tables, and change them by Alembic, which never locks an older program out.

A migration first expands the schema: it adds tables, columns that may be empty, and indexes. It
removes something only when no release that may still run, or come back, uses it. So a program works
with the schema of the release before it and with that of the release after it, and a roll-back
needs no database. The service creates the tables of an empty database; it upgrades no others. An
operator, or the deployment once the new release has proven itself, runs
`python -m service.ledger migrate`.

How to add a migration, here "0006" after "0005":

1. Copy `versions/r0006_….py` or, if there is none, write one with `revision = "0006"`,
   `down_revision = "0005"` and a function `upgrade` that calls `op.execute` with SQL for both
   databases (`op.get_context().dialect.name` tells which). Name its module in the docstring of
   `versions`, and set `revisions.NEWEST = "0006"`. A released migration is never edited.
2. A fact of an entry needs no column: it is part of `payload`, and an index on an expression of the
   payload finds it. A table of its own is best for anything else. A new column of an existing table
   may be empty or has a default, and the code writes it only where `revisions.read` says that it is
   there: until the operator migrates, the database is older than the program.
3. Say in `roles.RIGHTS` what each role may do with a new table.
4. `tests/service/ledger/test_migrations.py` runs the previous release's code on the new schema and
   this code on the previous release's schema. Set `revisions.OLDEST` to the newest revision of the
   last release when a release was made.

- `revisions`: which revision a database has, and which ones this program works with
- `upgrade`: run Alembic's migrations in one transaction, which excludes other migrations
- `env`: what Alembic runs to connect its migrations to that transaction
- `roles`: PostgreSQL's roles, and what each may do with every table
- `versions`: the migrations
"""

from service.ledger.migrations.revisions import require_tables
from service.ledger.migrations.upgrade import create, create_at, migrate

__all__ = ["create", "create_at", "migrate", "require_tables"]
