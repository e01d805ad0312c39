"""Verify the chain, and name every entry that was changed, removed, inserted or reordered."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select

from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database import connection_to, database_url, open_engine
from service.ledger.storage.entries import GENESIS, Head
from service.ledger.storage.schema import entries as table
from service.ledger.storage.schema import policies, read_hash, read_head
from service.ledger.verify.earlier import check_earlier
from service.ledger.verify.overrides import check_queue
from service.ledger.verify.personal_parts import Erasures, compare_erasures
from service.ledger.verify.spans import Findings, Span, walk
from service.ledger.verify.totals import check_totals

LEAST_SHARE = 10_000  # entries that are worth a process of their own


class Verification(NamedTuple):
    """The result of a verification; the chain is sound when `total` is 0.

    `head` is the last entry that was read, and `findings` holds the first MAX_FINDINGS of `total`
    findings in the order of the chain. `erased` counts the entries whose personal part was erased
    as an entry says, and `unread` names the parts that the account may not read.
    """

    head: Head
    total: int
    findings: list[str]
    erased: int = 0
    unread: tuple[str, ...] = ()


def verify(
    engine: Engine,
    expected: Head | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    since: Head | None = None,
    processes: int = 1,
) -> Verification:
    """Check every entry against its hash, its neighbours and its columns, and every policy.

    This finds every change, insertion, removal and reordering inside the chain, and in the personal
    parts beside it. A person with write access to the database can remove the last entries, or
    write a whole new chain, and set the head accordingly. Only a head that was kept elsewhere,
    `expected`, reveals this. `progress` is called after every batch with the number of verified
    entries and of all entries.

    After `since`, the head of an earlier verification that was kept elsewhere, only later entries
    are read. The entry that it names must be there, unchanged; of those before it, none may be
    missing, nor a personal part that no entry says was erased. Several `processes` read a part of
    the chain each. Raises LedgerUnavailable.
    """
    start = since or Head(0, GENESIS)
    with connection_to(engine) as connection:
        bounds = _split(connection, start, processes)
        if len(bounds) == 1:
            spans = [walk(connection, *bounds[0], expected, progress)]
        else:
            spans = _walk_in_parallel(engine, bounds, expected, progress)
        found = Findings()
        erasures = Erasures()
        if start.sequence:
            found.add(check_earlier(connection, start, erasures))
        follows = start
        for span in spans:
            if span.since != follows:
                found.add([f"entry {span.since.sequence} was changed while the chain was read"])
            follows = span.last
            found.join(span.found)
            erasures.join(span.erasures)
        last = spans[-1].last
        found.add(_finish(connection, start, spans[-1], sum(span.read for span in spans), expected))
        found.add(compare_erasures(connection, erasures, last.sequence))
    erased = sum(stop - first + 1 for first, stop in erasures.spans())
    return Verification(last, found.total, found.first, erased, spans[-1].unread)


def _split(connection: Connection, since: Head, processes: int) -> list[tuple[Head, int | None]]:
    """Return where each process begins and ends; the last one reads until nothing follows."""
    end = read_head(connection).sequence
    step = (end - since.sequence) // processes
    if processes < 2 or step < LEAST_SHARE:
        return [(since, None)]
    starts = [since]
    for number in range(1, processes):
        sequence = since.sequence + number * step
        digest = read_hash(connection, sequence)
        if digest is not None:  # a missing entry is found by the process before it
            starts.append(Head(sequence, digest))
    return list(zip(starts, [start.sequence for start in starts[1:]] + [None], strict=True))


def _walk_in_parallel(
    engine: Engine,
    bounds: Sequence[tuple[Head, int | None]],
    expected: Head | None,
    progress: Callable[[int, int], None],
) -> list[Span]:
    url = engine.url.render_as_string(hide_password=False)
    with ProcessPoolExecutor(len(bounds) - 1, get_context("spawn")) as pool:
        others = [pool.submit(_walk_alone, url, *bound, expected) for bound in bounds[:-1]]
        with connection_to(engine) as connection:
            last = walk(connection, *bounds[-1], expected, progress)
        return [*(other.result() for other in others), last]


def _walk_alone(url: str, since: Head, end: int | None, expected: Head | None) -> Span:
    engine = open_engine(database_url(url), LONG_DEADLINE)
    try:
        with connection_to(engine) as connection:
            return walk(connection, since, end, expected, lambda done, total: None)
    finally:
        engine.dispose()


def _finish(
    connection: Connection, since: Head, span: Span, read: int, expected: Head | None
) -> Iterator[str]:
    last, end = span.last, span.end
    if end.sequence > last.sequence:
        yield f"entries {last.sequence + 1} to {end.sequence} are missing at the end"
    elif end != last:
        yield f"the head was changed: it says {end} and the last entry is {last}"
    counted = select(func.count()).where(table.c.sequence <= last.sequence)
    extra = connection.execute(counted).scalar_one() - since.sequence - read
    if extra > 0:
        yield f"{extra} entries stand outside the chain"
    for name, content in connection.execute(select(policies)):
        if not sha256(content.encode(errors="replace")).hexdigest().startswith(name):
            yield f"the policy {name} was changed: its content does not give its digest"
    yield from check_queue(connection)
    yield from check_totals(connection)
    if expected and expected.sequence > last.sequence:
        yield f"the chain ends at {last.sequence}, before the expected {expected}"
