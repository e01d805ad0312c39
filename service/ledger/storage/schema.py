"""The ledger's tables, and the statements that read and write its head and entries."""

import json
import os
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from itertools import chain as flatten
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    MetaData,
    Table,
    Text,
    cast,
    func,
    select,
)

from service.ledger.storage.database import begin_writing
from service.ledger.storage.entries import COLUMNS, Entry, Head

STATEMENT = 64  # rows of one INSERT

metadata = MetaData()
_TYPES: dict[str, Any] = {
    "sequence": BigInteger,
    "default_probability": Float,
    "credit_score": Float,
}
entries = Table(
    "ledger_entries",
    metadata,
    *(Column(name, _TYPES.get(name, Text)) for name in COLUMNS),
)
head = Table("ledger_head", metadata, Column("sequence", BigInteger), Column("hash", Text))
probe = Table("ledger_probe", metadata, Column("content", Text))
open_referrals = Table(
    "ledger_open_referrals", metadata, Column("sequence", BigInteger), Column("id", Text)
)
policies = Table("ledger_policies", metadata, Column("policy", Text), Column("content", Text))

BAND = 20  # points of the credit score that the totals count together: the policy's PDO

_READ_HEAD = select(head)
_LOCK_HEAD = select(head).with_for_update()
_MOVE_HEAD = head.update()


def band_of(dialect: str) -> ColumnElement[int]:
    """Return the lower end of the band of an entry's credit score, as the totals count it."""
    points = entries.c.credit_score
    whole = cast(points if dialect == "sqlite" else func.trunc(points), BigInteger)
    return whole // BAND * BAND


def read_head(connection: Connection) -> Head:
    """Return the head of the chain that the database states."""
    return Head(*connection.execute(_READ_HEAD).one())


def lock_head(connection: Connection) -> Head:
    """Begin a writing transaction and return the head, which stays locked until it ends."""
    begin_writing(connection)
    return Head(*connection.execute(_LOCK_HEAD).one())


def move_head(connection: Connection, to: Head) -> None:
    """Set the head of the chain, inside the transaction that locked it."""
    connection.execute(_MOVE_HEAD, {"sequence": to.sequence, "hash": to.hash})


def write_probe(connection: Connection, size: int) -> None:
    """Replace the content of an earlier probe by `size` characters that cannot be compressed."""
    connection.execute(probe.delete())
    connection.execute(probe.insert(), {"content": os.urandom(size // 2).hex()})


def read_hash(connection: Connection, sequence: int) -> str | None:
    """Return the hash of an entry, None if there is no entry with this number."""
    query = select(entries.c.hash).where(entries.c.sequence == sequence)
    return connection.execute(query).scalar_one_or_none()


def insert(connection: Connection, rows: Sequence[Entry]) -> None:
    """Insert entries, without their personal parts."""
    insert_rows(connection, entries, [row[: len(COLUMNS)] for row in rows])


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, STATEMENT rows at a time: each statement makes the thread wait for its turn."""
    placeholder = "?" if connection.dialect.name == "sqlite" else "%s"
    for start in range(0, len(rows), STATEMENT):
        part = rows[start : start + STATEMENT]
        statement = _statement(table, len(part), placeholder)
        connection.exec_driver_sql(statement, tuple(flatten.from_iterable(part)))


@cache
def _statement(table: Table, rows: int, placeholder: str) -> str:
    row = "(" + ", ".join([placeholder] * len(table.c)) + ")"
    columns = ", ".join(table.c.keys())
    return f"INSERT INTO {table.name} ({columns}) VALUES " + ", ".join([row] * rows)  # noqa: S608


def read_policies(connection: Connection, names: set[str]) -> dict[str, dict[str, Any]]:
    """Return the recorded policies of these digests; one that does not give its digest is left out.

    The digest is a part of the hashed entries, so a policy that was changed afterwards is noticed.
    """
    query = select(policies).where(policies.c.policy.in_(names))
    return {
        name: json.loads(content)
        for name, content in connection.execute(query)
        if sha256(content.encode()).hexdigest().startswith(name)
    }
