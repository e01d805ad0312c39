"""Erase the personal parts of entries, and record that it was done.

The parts and their salts are deleted, and so is the answer that `ledger_claims` keeps for the
request; an entry of the kind `erase` says by whom, why, and of which entries. An entry of an
earlier release holds personal data in its payload: there the payload is emptied, the chain goes on
by the digest that was recorded, and the entry of the erasure vouches for what is left.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, Table, or_, select

from service.ledger import claims
from service.ledger.migrations import revisions
from service.ledger.search import ids_of_cases
from service.ledger.storage import personal_tables as tables
from service.ledger.storage.commitments import RECORDED_DIGEST, empty
from service.ledger.storage.database import LedgerUnavailable, connection_to
from service.ledger.storage.entries import Entry, Head, canonical, draft
from service.ledger.storage.schema import entries, lock_head, move_head

REVISION = "0009"  # the migration that creates the tables
GROUP = 5_000  # decisions that one transaction erases
_IDS = 500  # values of one query
Value = TypeVar("Value")
_PREDICTION = re.compile(r'"prediction_id":"([^"]+)"')


class Erased(NamedTuple):
    """What was erased: the entry that says so, and the numbers of the erased entries.

    `needles` are texts that only the erased parts held, to look for in the files of the database;
    empty where the account may not read them.
    """

    entry: Entry
    sequences: list[int]
    emptied: int
    needles: list[str]


class ErasableEntry(NamedTuple):
    """An entry to erase; `is_apart` where its personal part stands apart from it."""

    sequence: int
    id: str
    is_apart: bool


def select_decisions(
    engine: Engine,
    references: Sequence[str] = (),
    ids: Sequence[str] = (),
    before: str | None = None,
) -> list[str]:
    """Return the ids of the decisions of cases, those of `ids`, and those made before a time.

    Decisions that were erased already are left out. Raises LedgerUnavailable, and ValueError for an
    id that no decision has.
    """
    with connection_to(engine) as connection:
        if not tables.exist(connection):
            raise LedgerUnavailable(
                f"to erase, the schema needs revision {REVISION}; it has "
                f"{revisions.read(connection)}: run `python -m service.ledger migrate`"
            )
        found: list[str] = list(connection.execute(ids_of_cases(connection, references)).scalars())
        for part in in_parts(ids):
            query = select(entries.c.id).where(entries.c.id.in_(part), entries.c.kind == "decision")
            known = set(connection.execute(query).scalars())
            if unknown := [each for each in part if each not in known]:
                raise ValueError(f"no decision has the id {unknown[0]}")
            found.extend(part)
        if before is not None:
            query = tables.select_erasable(connection).where(
                entries.c.kind == "decision", entries.c.time < before
            )
            found += [row.id for row in connection.execute(query)]
    return list(dict.fromkeys(found))


def erase(engine: Engine, ids: Sequence[str], by: str, why: str) -> Iterator[Erased]:
    """Erase decisions and the later entries about them, a group at a time.

    Raises LedgerUnavailable, with a message that says what to do where the account may not.
    """
    for group in in_parts(ids, GROUP):
        erased = _erase_group(engine, group, by, why)
        if erased is not None:
            yield erased


def _erase_group(engine: Engine, ids: Sequence[str], by: str, why: str) -> Erased | None:
    with connection_to(engine) as connection:
        answered = _find_claims(connection, ids)
        connection.rollback()
        head = lock_head(connection)
        chosen = _with_later(connection, ids)
        apart = [each.sequence for each in chosen if each.is_apart]
        needles = _needles(connection, apart)
        for table in (tables.personal, tables.protected):
            _delete(connection, table, apart)
        emptied = _empty_payloads(connection, [e.sequence for e in chosen if not e.is_apart])
        for key in answered:
            connection.execute(
                claims.table.update().where(claims.table.c.key == key), {"body": "", "answer": ""}
            )
        if not chosen:
            connection.rollback()
            return None
        content: dict[str, Any] = {
            "by": by,
            "why": why,
            "erased_entries": list(_ranges([each.sequence for each in chosen])),
        }
        if emptied:
            content["emptied"] = emptied
        (entry,) = tables.record(connection, head, [draft("erase", content)])
        move_head(connection, Head(entry.sequence, entry.hash))
        connection.commit()
    return Erased(entry, [each.sequence for each in chosen], len(emptied), needles)


def _find_claims(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Return the keys of the requests whose answer names one of the decisions."""
    if revisions.read(connection) < claims.REVISION:  # type: ignore[operator]
        return []
    wanted = set(ids)
    query = select(claims.table.c.key, claims.table.c.answer).execution_options(yield_per=1_000)
    return [
        row.key
        for row in connection.execute(query)
        if not wanted.isdisjoint(_PREDICTION.findall(row.answer))
    ]


def _with_later(connection: Connection, ids: Sequence[str]) -> list[ErasableEntry]:
    """Return the entries of these ids and about them that have something to erase."""
    chosen: list[ErasableEntry] = []
    query = tables.select_erasable(connection)
    for part in in_parts(ids):
        about = or_(entries.c.id.in_(part), entries.c.refers_to.in_(part))
        chosen += [ErasableEntry(*row) for row in connection.execute(query.where(about))]
    return sorted(chosen)


def _delete(connection: Connection, table: Table, sequences: Sequence[int]) -> None:
    for part in in_parts(sequences):
        connection.execute(table.delete().where(table.c.sequence.in_(part)))


def _needles(connection: Connection, sequences: Sequence[int]) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    salts: list[str] = []
    for table in (tables.personal, tables.protected):
        for part in in_parts(sequences):
            query = select(table.c.salt).where(table.c.sequence.in_(part))
            salts += connection.execute(query).scalars()
    return salts


def _empty_payloads(connection: Connection, sequences: Sequence[int]) -> dict[str, str]:
    """Empty entries of earlier releases; returns the digest of each payload that is left."""
    if not sequences:
        return {}
    emptied: dict[str, str] = {}
    with tables.without_append_only(connection):
        for part in in_parts(sequences):
            query = select(entries.c.sequence, entries.c.payload)
            rows = connection.execute(query.where(entries.c.sequence.in_(part))).all()
            for sequence, payload in rows:
                left = emptied_payload(payload)
                emptied[str(sequence)] = sha256(left.encode()).hexdigest()
                connection.execute(
                    entries.update().where(entries.c.sequence == sequence), {"payload": left}
                )
    return emptied


def emptied_payload(payload: str) -> str:
    """Return a payload without personal fields, and with the digest that was recorded."""
    content: dict[str, Any] = json.loads(payload)
    empty(content)
    content[RECORDED_DIGEST] = sha256(payload.encode()).hexdigest()
    return canonical(content)


def in_parts(values: Sequence[Value], size: int = _IDS) -> Iterator[Sequence[Value]]:
    """Yield the values in parts of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _ranges(sequences: Iterable[int]) -> Iterator[list[int]]:
    """Yield the first and the last number of each run of numbers, which are in order."""
    run: list[int] = []
    for sequence in sequences:
        if run and sequence == run[1] + 1:
            run[1] = sequence
        else:
            if run:
                yield run
            run = [sequence, sequence]
    if run:
        yield run
