"""Check the personal parts of entries against their commitments, and what is missing of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Table, func, select

from service.ledger.storage.commitments import (
    COMMITMENTS,
    PERSONAL,
    PROTECTED,
    RECORDED_DIGEST,
    CommittedPart,
    commitment,
)
from service.ledger.storage.entries import Entry
from service.ledger.storage.personal_tables import exist, may_read_protected, personal, protected
from service.ledger.storage.schema import entries

TABLES = {PERSONAL: personal, PROTECTED: protected}


@dataclass
class Erasures:
    """What entries say of erasures, and what is missing, in a span of the chain.

    `stated` are first and last numbers of erased entries; `missing` has the numbers of the entries
    that lack each part. `emptied` is the SHA-256 of each payload of an earlier release as it is
    now, and `stated_emptied` what an erasure says that it is. `first_apart` is the first entry that
    has its personal part apart: none behind it has personal data in its payload.
    """

    stated: list[tuple[int, int]] = field(default_factory=list)
    missing: dict[str, list[int]] = field(default_factory=dict)
    emptied: dict[int, str] = field(default_factory=dict)
    stated_emptied: dict[int, str] = field(default_factory=dict)
    first_apart: int | None = None

    def add(self, content: Mapping[str, Any]) -> None:
        """Take in what an entry of an erasure says; a damaged one says nothing."""
        try:
            self.stated += [(int(first), int(last)) for first, last in content["erased_entries"]]
            emptied = content.get("emptied", {}).items()
            self.stated_emptied |= {int(number): str(digest) for number, digest in emptied}
        except (KeyError, TypeError, ValueError, AttributeError):
            return

    def join(self, later: "Erasures") -> None:
        """Take in the facts of a later span."""
        self.stated += later.stated
        for name, numbers in later.missing.items():
            self.missing.setdefault(name, []).extend(numbers)
        self.emptied |= later.emptied
        self.stated_emptied |= later.stated_emptied
        if self.first_apart is None:
            self.first_apart = later.first_apart

    def spans(self) -> list[tuple[int, int]]:
        """Return the erased spans in order, those that touch or overlap as one."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted(self.stated):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(last, joined[-1][1])
            else:
                joined.append((first, last))
        return joined


class PartsCheck:
    """Holds the parts of entries against their commitments, batch after batch."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._readable = _readable(connection)
        self.unread = (PROTECTED,) if self._readable == [PERSONAL] else ()
        self._parts: dict[str, dict[int, CommittedPart]] = {}
        self.erasures = Erasures()

    def read(self, first: int, last: int) -> None:
        """Read the parts of the entries from `first` to `last`, which are checked next."""
        for name in self._readable:
            table = TABLES[name]
            query = select(table.c.sequence, table.c.salt, table.c.content)
            rows = self._connection.execute(query.where(table.c.sequence.between(first, last)))
            self._parts[name] = {number: CommittedPart(salt, text) for number, salt, text in rows}

    def check(self, entry: Entry, content: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with the parts of an entry."""
        if entry.kind == "erase":
            self.erasures.add(content)
        elif RECORDED_DIGEST in content:
            digest = sha256(entry.payload.encode(errors="replace")).hexdigest()
            self.erasures.emptied[entry.sequence] = digest
        committed = content.get(COMMITMENTS, {})
        if committed and self.erasures.first_apart is None:
            self.erasures.first_apart = entry.sequence
        for name in self._readable:
            part = self._parts[name].pop(entry.sequence, None)
            stated = committed.get(name)
            if part is None and stated is not None:
                self.erasures.missing.setdefault(name, []).append(entry.sequence)
            elif part is not None and stated is None:
                yield f"entry {entry.sequence} ({entry.id}) has a {name} part it does not state"
            elif part is not None and commitment(name, part) != stated:
                yield (
                    f"entry {entry.sequence} ({entry.id}) was changed: its {name} part or its salt "
                    "does not give the commitment"
                )


def compare_erasures(connection: Connection, erasures: Erasures, last: int) -> Iterator[str]:
    """Yield the parts that are missing without an erasure, and the erased ones that are there.

    Entries after `last` may say that parts were erased while the chain was read.
    """
    query = select(entries.c.payload).where(entries.c.kind == "erase", entries.c.sequence > last)
    for payload in connection.execute(query).scalars():
        erasures.add(json.loads(payload))
    spans = erasures.spans()
    for name, numbers in erasures.missing.items():
        for number in _outside(sorted(numbers), spans):
            yield f"the {name} part of entry {number} is missing, and no entry says it was erased"
    for number, digest in erasures.emptied.items():
        if erasures.stated_emptied.get(number) != digest:
            yield f"entry {number} was changed: it is emptied, and no entry says so"
        elif erasures.first_apart is not None and number > erasures.first_apart:
            yield f"entry {number} was changed: it is emptied, and had no personal data in it"
    if exist(connection):
        for name, table in TABLES.items():
            yield from _find_reappeared(connection, name, table, spans)


def find_without_part(connection: Connection, last: int) -> Iterator[tuple[str, list[int]]]:
    """Yield for each part the entries up to `last` that commit to one and have none."""
    for name in _readable(connection):
        part = TABLES[name]
        # Only the entries without a part are read; the numbers of all come from an index.
        numbers = select(entries.c.sequence).where(entries.c.sequence <= last)
        without = numbers.except_(select(part.c.sequence))
        commits = entries.c.payload.contains(f'"{name}":"')
        query = select(entries.c.sequence).where(entries.c.sequence.in_(without), commits)
        yield name, list(connection.execute(query.order_by(entries.c.sequence)).scalars())


def _readable(connection: Connection) -> list[str]:
    if not exist(connection):
        return []
    return [PERSONAL, PROTECTED] if may_read_protected(connection) else [PERSONAL]


def _outside(numbers: list[int], spans: list[tuple[int, int]]) -> Iterator[int]:
    ahead = iter(spans)
    span = next(ahead, None)
    for number in numbers:
        while span and span[1] < number:
            span = next(ahead, None)
        if span is None or number < span[0]:
            yield number


def _find_reappeared(
    connection: Connection, name: str, table: Table, spans: list[tuple[int, int]]
) -> Iterator[str]:
    """Yield the erased spans that have rows again; counting needs no right to read them."""
    if name == PROTECTED and not may_read_protected(connection):
        return
    for first, last in spans:
        counted = select(func.count()).where(table.c.sequence.between(first, last))
        if count := connection.execute(counted.select_from(table)).scalar_one():
            yield f"{count} {name} parts of entries {first} to {last} are there, though erased"
