"""Roles of PostgreSQL: each program may do with the ledger's tables only what it needs.

The owner of the tables migrates; no program that listens to clients has its password. An account
takes its rights from one of the roles:

- `ledger_writer`: the service, which appends entries and moves the head
- `ledger_signer`: `python -m service.transparency publish`, which stores signed checkpoints
- `ledger_reader`: the dashboard, auditors and `verify`
- `ledger_auditor`: the same with protected attributes; it alone records the result of a `verify`
- `ledger_monitor`: `python -m service.monitoring`, which compares decisions by group: it reads
  protected attributes, which the service writes and cannot read again, and stores reports
- `ledger_eraser`: `python -m service.ledger erase`; no other role may delete personal parts

A superuser, and whoever owns the tables, can still do anything: the signed checkpoints that
witnesses keep are the evidence against them.
"""

from psycopg import Connection as DriverConnection
from psycopg import sql
from sqlalchemy import Connection, inspect

from service.ledger.storage.database import LedgerUnavailable

WRITER, SIGNER, READER = "ledger_writer", "ledger_signer", "ledger_reader"
AUDITOR, ERASER, MONITOR = "ledger_auditor", "ledger_eraser", "ledger_monitor"
ROLES = (WRITER, SIGNER, READER, AUDITOR, ERASER, MONITOR)
_ALL_READ = dict.fromkeys(ROLES, "SELECT")
RIGHTS = {
    "ledger_entries": {**_ALL_READ, WRITER: "SELECT, INSERT", ERASER: "SELECT, INSERT"},
    "ledger_head": {**_ALL_READ, WRITER: "SELECT, UPDATE", ERASER: "SELECT, UPDATE"},
    "ledger_personal": {
        WRITER: "SELECT, INSERT",
        READER: "SELECT",
        AUDITOR: "SELECT",
        MONITOR: "SELECT",
        ERASER: "SELECT (sequence, reference), DELETE",
    },
    "ledger_protected": {
        WRITER: "INSERT",
        AUDITOR: "SELECT",
        MONITOR: "SELECT",
        ERASER: "SELECT (sequence), DELETE",
    },
    "ledger_policies": {**_ALL_READ, WRITER: "SELECT, INSERT"},
    "ledger_open_referrals": {**_ALL_READ, WRITER: "SELECT, INSERT, DELETE"},
    "ledger_totals": {**_ALL_READ, WRITER: "SELECT, INSERT, UPDATE"},
    "ledger_probe": {WRITER: "SELECT, INSERT, DELETE"},
    "ledger_claims": {
        WRITER: "SELECT, INSERT, DELETE",
        ERASER: "SELECT (key, answer), UPDATE (body, answer)",
    },
    "ledger_verifications": {**_ALL_READ, AUDITOR: "SELECT, INSERT"},
    "ledger_blocks": {**_ALL_READ, SIGNER: "SELECT, INSERT"},
    "ledger_checkpoints": {**_ALL_READ, SIGNER: "SELECT, INSERT, UPDATE"},
    "drift_reports": {
        WRITER: "SELECT, INSERT",
        MONITOR: "SELECT, INSERT",
        READER: "SELECT",
        AUDITOR: "SELECT",
    },
    "incidents": {
        WRITER: "SELECT, INSERT, UPDATE (closed)",
        MONITOR: "SELECT, INSERT, UPDATE (closed)",
        READER: "SELECT",
        AUDITOR: "SELECT",
    },
    "alembic_version": _ALL_READ,
    "schema_version": _ALL_READ,
}
"""The rights on every table. A migration that adds a table adds it here; others have none."""


def present(connection: Connection) -> list[str]:
    """Return the roles that this server has: an earlier release created fewer."""
    if connection.dialect.name != "postgresql":
        return []
    query = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
    names = set(connection.exec_driver_sql(query, (list(ROLES),)).scalars())
    return [role for role in ROLES if role in names]


def create(connection: Connection) -> None:
    """Create the roles that are missing, and give them their rights on this database.

    Raises LedgerUnavailable for SQLite, which has no roles.
    """
    if connection.dialect.name != "postgresql":
        raise LedgerUnavailable("SQLite has no roles: whoever may write the file may change it")
    for role in set(ROLES).difference(present(connection)):
        connection.exec_driver_sql(f"CREATE ROLE {role} NOLOGIN")
    grant(connection)


def grant(connection: Connection) -> None:
    """Give the roles exactly their rights on the tables that there are, and PUBLIC none."""
    roles = present(connection)
    everybody = ", ".join(("PUBLIC", *roles))
    database, schema = connection.exec_driver_sql(
        "SELECT quote_ident(current_database()), quote_ident(current_schema())"
    ).one()
    statements = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {everybody}",
        f"REVOKE ALL ON SCHEMA {schema} FROM {everybody}",
        f"REVOKE ALL ON DATABASE {database} FROM {everybody}",
        f"GRANT CONNECT ON DATABASE {database} TO {', '.join(roles)}",
        f"GRANT USAGE ON SCHEMA {schema} TO {', '.join(roles)}",
    ]
    tables = inspect(connection).get_table_names()
    statements += [
        f"GRANT {rights} ON {table} TO {role}"
        for table, by_role in RIGHTS.items()
        for role, rights in by_role.items()
        if table in tables and role in roles
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)


def set_account(connection: Connection, role: str, name: str, password: str) -> None:
    """Create the account `name` with the rights of `role`, or give it this role and password.

    The server is sent a digest, so that neither its log nor its statistics hold the password.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, DriverConnection)  # noqa: S101 - for mypy
    digest = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    account = sql.Identifier(name)
    present = driver.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    if present is None:
        driver.execute(sql.SQL("CREATE ROLE {}").format(account))
    words = "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}"
    driver.execute(sql.SQL(words).format(account, digest.decode()))
    for other in ROLES:
        verb = sql.SQL("GRANT {} TO {}" if other == role else "REVOKE {} FROM {}")
        driver.execute(verb.format(sql.Identifier(other), account))
