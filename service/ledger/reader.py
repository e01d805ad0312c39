"""Look up and search entries; these functions wait for the database."""

import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    select,
)

from service.ledger.search import matches, of_cases
from service.ledger.storage.database import connection_to
from service.ledger.storage.decision_filters import decision_by_officer
from service.ledger.storage.entries import COLUMNS, Entry, Head
from service.ledger.storage.officer_drafts import pending_proposal
from service.ledger.storage.personal_tables import select_entries
from service.ledger.storage.schema import entries as table
from service.ledger.storage.schema import read_head, read_policies

SEARCH_SPAN = 20_000  # entries that one search reads; the next page continues after them


OUT_OF_ORDER = 10_000  # entries by which a number may differ from the order of times


class EntryHistory(NamedTuple):
    """An entry and the later entries that refer to it, oldest first."""

    entry: Entry
    later: tuple[Entry, ...]
    policy: dict[str, Any] | None = None
    """The policy that decided; None where it was not recorded, or does not give its hash."""

    def as_dict(self) -> dict[str, Any]:
        """Return the content with its position in the chain, its overrides and its outcomes."""
        result = _with_place(self.entry)
        result["policy"] = self.policy
        for kind in ("override", "proposal", "rejection", "note", "outcome"):
            result[f"{kind}s"] = [_with_place(e) for e in self.later if e.kind == kind]
        result["final_decision"] = self.final_decision
        result["pending"] = None if self.pending is None else _with_place(self.pending)
        return result

    @property
    def final_decision(self) -> str | None:
        """The decision of a person where there is one, else the recorded one."""
        last = next((e for e in reversed(self.later) if e.kind == "override"), self.entry)
        return last.decision

    @property
    def pending(self) -> Entry | None:
        """The proposal that waits for a second person, None where none does."""
        return pending_proposal(self.later)


class HistoryPage(NamedTuple):
    """Decisions, newest first; `next_before` is the cursor of the next page, None at the end.

    A page of a search may be short or even empty although `next_before` states another page.
    """

    records: list[EntryHistory]
    next_before: int | None


class EarlierDecision(NamedTuple):
    """A decision about a case, and the person's decision about it, if there is one."""

    prediction_id: str
    timestamp: str
    decision: str
    final: str | None


def _with_place(entry: Entry) -> dict[str, Any]:
    place = {"sequence": entry.sequence, "previous_hash": entry.previous_hash, "hash": entry.hash}
    try:
        content = entry.content
    except (ValueError, TypeError):  # a damaged entry must not hide the others on its page
        shown = {name: getattr(entry, name) for name in COLUMNS}
        content = {**shown, "damaged": "the recorded content cannot be read"}
    return {**content, **place}


def head(engine: Engine) -> Head:
    """Return the end of the chain; its sequence number is the count of all entries."""
    with connection_to(engine) as connection:
        return read_head(connection)


def get(engine: Engine, entry_id: str) -> EntryHistory | None:
    """Return the entry with this id and the entries that refer to it, None if there is none."""
    with connection_to(engine) as connection:
        query = select_entries(connection).where(table.c.id == entry_id)
        row = connection.execute(query).one_or_none()
        return None if row is None else with_later(connection, [Entry(*row)])[0]


def recent(
    engine: Engine,
    limit: int,
    before: int | None = None,
    search: str | None = None,
    reference: str | None = None,
    conditions: Sequence[ColumnElement[bool]] = (),
    period: tuple[str, str] = ("", ""),
) -> HistoryPage:
    """Return up to `limit` decisions (at least 1) with numbers below `before`, newest first.

    With a `reference`, only those of this case; with a `period`, those from its first time on and
    before its second, where "" is no limit; and those that meet the `conditions`.

    Each word of `search` must equal the decision or the rating or, if it has at least three
    letters, be a part of the recorded content, or of an entry about the decision. Case is ignored
    for letters that the database can fold. One search reads at most SEARCH_SPAN entries.
    """
    words = (search or "").split()
    with connection_to(engine) as connection:
        bottom, top = _numbers_of(connection, period)
        top = min(top, before if before is not None else read_head(connection).sequence + 1)
        floor = max(bottom, top - 1 - SEARCH_SPAN) if words or conditions else bottom
        query = (
            select_entries(connection)
            .where(table.c.kind == "decision", table.c.sequence < top, table.c.sequence > floor)
            .where(*(matches(word, connection) for word in words), *conditions, *_within(period))
            .order_by(table.c.sequence.desc())
            .limit(limit)
        )
        if reference is not None:
            of_case = of_cases(connection, [reference])
            query = query.where(table.c.sequence.in_(select(of_case.c.sequence)))
        entries = [Entry(*row) for row in connection.execute(query)]
        end = entries[-1].sequence if len(entries) == limit else floor + 1
        return HistoryPage(with_later(connection, entries), end if end > bottom + 1 else None)


def _within(period: tuple[str, str]) -> Iterator[ColumnElement[bool]]:
    first, end = period
    if first:
        yield table.c.time >= first
    if end:
        yield table.c.time < end


def _numbers_of(connection: Connection, period: tuple[str, str]) -> tuple[int, int]:
    """Return numbers between which all decisions of a period lie, from the index by time.

    Processes draw times before they wait for the chain, so times and numbers differ by a little.
    """
    first, end = period
    by_time = select(table.c.sequence).where(table.c.kind == "decision").limit(1)
    bottom, top = 0, sys.maxsize
    if first:
        query = by_time.where(table.c.time >= first).order_by(table.c.time)
        found = connection.execute(query).scalar_one_or_none()
        bottom = top if found is None else max(0, found - 1 - OUT_OF_ORDER)
    if end:
        query = by_time.where(table.c.time < end).order_by(table.c.time.desc())
        found = connection.execute(query).scalar_one_or_none()
        top = 0 if found is None else found + 1 + OUT_OF_ORDER
    return bottom, top


def after(engine: Engine, sequence: int, limit: int) -> list[Entry]:
    """Return up to `limit` entries of every kind that follow `sequence`, oldest first."""
    with connection_to(engine) as connection:
        query = select_entries(connection).where(table.c.sequence > sequence)
        rows = connection.execute(query.order_by(table.c.sequence).limit(limit))
        return [Entry(*row) for row in rows]


def earlier(engine: Engine, references: Collection[str]) -> dict[str, list[EarlierDecision]]:
    """Return the decisions of each case, oldest first; a case without any is left out."""
    found: defaultdict[str, list[EarlierDecision]] = defaultdict(list)
    with connection_to(engine) as connection:
        of_case = of_cases(connection, references)
        final = decision_by_officer()
        query = (
            select(of_case.c.reference, table.c.id, table.c.time, table.c.decision, final)
            .join(of_case, of_case.c.sequence == table.c.sequence)
            .where(table.c.kind == "decision")
            .order_by(table.c.sequence)
        )
        for name, *decision in connection.execute(query):
            found[name].append(EarlierDecision(*decision))
    return dict(found)


def with_later(connection: Connection, entries: Sequence[Entry]) -> list[EntryHistory]:
    """Return entries with those that refer to them, and with the policies that decided."""
    ids = [entry.id for entry in entries]
    query = select_entries(connection).where(table.c.refers_to.in_(ids))
    later: defaultdict[str | None, list[Entry]] = defaultdict(list)
    for row in connection.execute(query.order_by(table.c.sequence)):
        later[row.refers_to].append(Entry(*row))
    in_force = read_policies(connection, {entry.policy for entry in entries if entry.policy})
    return [
        EntryHistory(entry, tuple(later[entry.id]), in_force.get(entry.policy or ""))
        for entry in entries
    ]
