"""The results of verifications, which the service shows as metrics."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Engine, Table, Text, inspect, select

from service.ledger.storage.database import begin_writing, connection_to
from service.ledger.storage.entries import Head
from service.ledger.storage.schema import metadata

verifications = Table(
    "ledger_verifications",
    metadata,
    Column("time", Text),
    Column("sequence", BigInteger),
    Column("hash", Text),
    Column("findings", BigInteger),
)


class Verified(NamedTuple):
    """When a verification ended, the head that it saw, and how many findings it had."""

    time: str
    head: Head
    findings: int


def record(engine: Engine, head: Head, findings: int) -> None:
    """Record the result of a verification; raises LedgerUnavailable."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    values = {"time": now, "sequence": head.sequence, "hash": head.hash, "findings": findings}
    with connection_to(engine) as connection:
        begin_writing(connection)
        connection.execute(verifications.insert(), values)
        connection.commit()


def newest(engine: Engine) -> Verified | None:
    """Return the newest result; None where there is none, or no table for it yet."""
    query = select(verifications).order_by(verifications.c.time.desc()).limit(1)
    with connection_to(engine) as connection:
        if not inspect(connection).has_table(verifications.name):
            return None
        row = connection.execute(query).first()
    return None if row is None else Verified(row.time, Head(row.sequence, row.hash), row.findings)
