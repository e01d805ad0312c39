"""Check the entries that an earlier verification has read: that nothing of them is missing.

Their content is not read again. Whoever deletes an entry or its personal part is found here, and
whoever changes one by the next verification of the whole ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from service.ledger.storage.entries import Entry, Head
from service.ledger.storage.schema import entries as table
from service.ledger.verify.personal_parts import Erasures, find_without_part
from service.ledger.verify.spans import hash_of


def check_earlier(connection: Connection, since: Head, erasures: Erasures) -> Iterator[str]:
    """Yield what is wrong up to `since`, and add to `erasures` what is missing beside it."""
    yield from _check_end(connection, since)
    yield from _find_gaps(connection, since.sequence)
    yield from _read_erasures(connection, since.sequence, erasures)
    for name, missing in find_without_part(connection, since.sequence):
        erasures.missing.setdefault(name, []).extend(missing)


def _check_end(connection: Connection, since: Head) -> Iterator[str]:
    """Check the entry at which the earlier verification ended."""
    row = connection.execute(select(table).where(table.c.sequence == since.sequence)).first()
    if row is None:
        yield f"entry {since.sequence}, which was verified before, is missing"
    elif row.hash != since.hash or hash_of(Entry(*row)) != since.hash:
        yield f"entry {since.sequence} ({row.id}) was changed since it was verified"


def _find_gaps(connection: Connection, last: int) -> Iterator[str]:
    """Yield the numbers up to `last` that no entry has; counting them is cheap, as none is read."""
    up_to = table.c.sequence.between(1, last)
    if connection.execute(select(func.count()).where(up_to)).scalar_one() == last:
        return
    before = func.lag(table.c.sequence, 1, 0).over(order_by=table.c.sequence)
    pairs = select(table.c.sequence, before.label("before")).where(up_to).subquery()
    query = select(pairs).where(pairs.c.sequence > pairs.c.before + 1)
    for row in connection.execute(query.order_by(pairs.c.sequence)):
        yield f"entries {row.before + 1} to {row.sequence - 1}, verified before, are missing"


def _read_erasures(connection: Connection, last: int, erasures: Erasures) -> Iterator[str]:
    """Take in what the entries up to `last` say of erasures."""
    query = select(table).where(table.c.kind == "erase", table.c.sequence <= last)
    for row in connection.execute(query):
        entry = Entry(*row)
        if hash_of(entry) == entry.hash:
            erasures.add(json.loads(entry.payload))
        else:
            yield f"entry {entry.sequence} ({entry.id}) was changed since it was verified"
