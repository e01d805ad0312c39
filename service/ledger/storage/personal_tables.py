"""The tables of the personal parts: record entries with them, and read entries with them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    Text,
    and_,
    inspect,
    null,
    or_,
    select,
)

from service.ledger.storage.commitments import COMMITMENTS, RECORDED_DIGEST, CommittedPart
from service.ledger.storage.database import LedgerUnavailable, connection_to
from service.ledger.storage.entries import Draft, Entry, Head, chain, unseal
from service.ledger.storage.schema import entries, insert, insert_rows, metadata

BY_OFFICERS = ("override", "proposal", "rejection", "note")
"""Kinds of entries in which officers write about a decision."""
personal = Table(
    "ledger_personal",
    metadata,
    Column("sequence", BigInteger),
    *(Column(name, Text) for name in ("reference", "salt", "content")),
)
protected = Table(
    "ledger_protected",
    metadata,
    Column("sequence", BigInteger),
    *(Column(name, Text) for name in ("salt", "content")),
)


def exist(connection: Connection) -> bool:
    """Tell whether the database has the tables: until it is migrated, it is older."""
    if not connection.info.get(personal.name):
        connection.info[personal.name] = inspect(connection).has_table(personal.name)
    return bool(connection.info[personal.name])


def record(connection: Connection, head: Head, drafts: Sequence[Draft]) -> list[Entry]:
    """Write the entries of drafts and their personal parts, and return the entries."""
    apart = bool(drafts) and exist(connection)
    if not apart:
        drafts = [unseal(draft) for draft in drafts]
    stored = chain(head, drafts)
    insert(connection, stored)
    if apart:
        _insert_parts(connection, stored, drafts)
    return stored


def _insert_parts(connection: Connection, stored: Sequence[Entry], drafts: Sequence[Draft]) -> None:
    of_both: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]] = [], []
    for entry, draft in zip(stored, drafts, strict=True):
        if draft.personal:
            of_both[0].append((entry.sequence, draft.reference, *draft.personal))
        if draft.protected:
            of_both[1].append((entry.sequence, *draft.protected))
    for table, rows in zip((personal, protected), of_both, strict=True):
        insert_rows(connection, table, rows)


def drop_after(connection: Connection, sequence: int) -> None:
    """Remove the parts of entries after `sequence`, which the chain no longer has."""
    if exist(connection):
        for table in (personal, protected):
            connection.execute(table.delete().where(table.c.sequence > sequence))


def select_entries(connection: Connection) -> Select[Any]:
    """Return the query of entries, whose rows are the arguments of `Entry`."""
    if not exist(connection):
        return select(entries, null())
    joined = entries.outerjoin(personal, personal.c.sequence == entries.c.sequence)
    return select(entries, personal.c.content).select_from(joined)


def read_part(connection: Connection, sequence: int) -> CommittedPart | None:
    """Return the personal part of an entry; None where it has none, or where it was erased."""
    if not exist(connection):
        return None
    query = select(personal.c.salt, personal.c.content).where(personal.c.sequence == sequence)
    row = connection.execute(query).one_or_none()
    return None if row is None else CommittedPart(*row)


def is_present(connection: Connection) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that the personal part of an entry of `select_entries` is there."""
    is_emptied = entries.c.payload.contains(f'"{RECORDED_DIGEST}":')
    if not exist(connection):
        return ()
    is_apart = entries.c.payload.contains(f'"{COMMITMENTS}":' + "{")
    return ~is_emptied, or_(personal.c.sequence.is_not(None), ~is_apart)


def select_erasable(connection: Connection) -> Select[Any]:
    """Return the query of the entries that have something to erase.

    Its rows are the sequence number, the id, and whether the personal part stands apart.
    """
    is_apart = or_(personal.c.sequence.is_not(None), protected.c.sequence.is_not(None))
    is_whole = and_(
        entries.c.kind.in_(("decision", *BY_OFFICERS)),
        ~entries.c.payload.contains(f'"{COMMITMENTS}":' + "{"),
        ~entries.c.payload.contains(f'"{RECORDED_DIGEST}":'),
    )
    joined = entries.outerjoin(personal, personal.c.sequence == entries.c.sequence)
    joined = joined.outerjoin(protected, protected.c.sequence == entries.c.sequence)
    columns = entries.c.sequence, entries.c.id, is_apart
    return select(*columns).select_from(joined).where(or_(is_apart, is_whole))


@contextmanager
def without_append_only(connection: Connection) -> Iterator[None]:
    """Let the block change entries; only the owner of the tables may do so.

    The triggers are there again when the transaction ends, however it ends.
    """
    if connection.dialect.name == "postgresql":
        owned = "SELECT pg_has_role(tableowner, 'MEMBER') FROM pg_tables WHERE tablename = %s"
        if not connection.exec_driver_sql(owned, (entries.name,)).scalar_one():
            raise LedgerUnavailable(
                "some of these entries were recorded by an earlier release, whose personal data "
                "stand in the chain's payload: erase them as the owner of the tables"
            )
        alter = f"ALTER TABLE {entries.name} {{}} TRIGGER {entries.name}_append_only"
        connection.exec_driver_sql(alter.format("DISABLE"))
        yield
        connection.exec_driver_sql(alter.format("ENABLE"))
        return
    name = f"{entries.name}_no_update"
    query = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?"
    trigger = connection.exec_driver_sql(query, (name,)).scalar_one()
    connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    connection.exec_driver_sql(trigger)


def may_read_protected(connection: Connection) -> bool:
    """Tell whether the account may read protected attributes, and the database has their table."""
    if not exist(connection):
        return False
    if connection.dialect.name != "postgresql":
        return True
    query = f"SELECT has_table_privilege('{protected.name}', 'SELECT')"
    return bool(connection.exec_driver_sql(query).scalar_one())


def read_protected(engine: Engine, sequences: Sequence[int]) -> dict[int, str]:
    """Return the protected attributes of entries as JSON, by sequence number.

    It is empty where the account may not read them. Raises LedgerUnavailable.
    """
    if not sequences:
        return {}
    query = select(protected.c.sequence, protected.c.content).where(
        protected.c.sequence >= min(sequences), protected.c.sequence <= max(sequences)
    )
    with connection_to(engine) as connection:
        if not may_read_protected(connection):
            return {}
        wanted = set(sequences)
        return {row.sequence: row.content for row in connection.execute(query) if row[0] in wanted}


def application_of(entry: Entry, protected: str | None) -> dict[str, Any] | None:
    """Return the application of a decision with its protected attributes; None if erased."""
    content = entry.content
    if content.get("erased"):
        return None
    return {**content["application"], **json.loads(protected or "{}")}
