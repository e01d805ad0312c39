"""Look up and search entries; these functions wait for the database."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Text,
    func,
    literal_column,
    or_,
    select,
)

from service.ledger.database import connection_to
from service.ledger.entries import Entry, Head
from service.ledger.schema import entries as table
from service.ledger.schema import policies, read_head

SEARCH_SPAN = 20_000  # entries that one search reads; the next page continues after them


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
        result["overrides"] = [_with_place(e) for e in self.later if e.kind == "override"]
        result["outcomes"] = [_with_place(e) for e in self.later if e.kind == "outcome"]
        return result


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
    except ValueError:  # a damaged entry must not hide the others on its page
        content = {**entry._asdict(), "damaged": "the recorded content cannot be read"}
    return {**content, **place}


def head(engine: Engine) -> Head:
    """Return the end of the chain; its sequence number is the count of all entries."""
    with connection_to(engine) as connection:
        return read_head(connection)


def get(engine: Engine, entry_id: str) -> EntryHistory | None:
    """Return the entry with this id and the entries that refer to it, None if there is none."""
    with connection_to(engine) as connection:
        row = connection.execute(select(table).where(table.c.id == entry_id)).one_or_none()
        return None if row is None else _with_later(connection, [Entry(*row)])[0]


def recent(
    engine: Engine,
    limit: int,
    before: int | None = None,
    search: str | None = None,
    reference: str | None = None,
) -> HistoryPage:
    """Return up to `limit` decisions (at least 1) with numbers below `before`, newest first.

    With a `reference`, only those of this case.

    Each word of `search` must equal the decision or the rating or, if it has at least three
    letters, be a part of the recorded content. Case is ignored for letters that the database can
    fold. One search reads at most SEARCH_SPAN entries.
    """
    words = (search or "").split()
    with connection_to(engine) as connection:
        top = before if before is not None else read_head(connection).sequence + 1
        floor = max(0, top - 1 - SEARCH_SPAN) if words else 0
        query = (
            select(table)
            .where(table.c.kind == "decision", table.c.sequence < top, table.c.sequence > floor)
            .where(*map(_matches, words))
            .where(*(_of_cases(connection, [reference]) if reference is not None else ()))
            .order_by(table.c.sequence.desc())
            .limit(limit)
        )
        entries = [Entry(*row) for row in connection.execute(query)]
        end = entries[-1].sequence if len(entries) == limit else floor + 1
        return HistoryPage(_with_later(connection, entries), end if end > 1 else None)


def after(engine: Engine, sequence: int, limit: int) -> list[Entry]:
    """Return up to `limit` entries of every kind that follow `sequence`, oldest first."""
    query = select(table).where(table.c.sequence > sequence).order_by(table.c.sequence)
    with connection_to(engine) as connection:
        return [Entry(*row) for row in connection.execute(query.limit(limit))]


def has_reference(connection: Connection, kind: str, entry_id: str | None) -> bool:
    """Tell whether an entry of this kind refers to the entry with this id."""
    query = select(table.c.id).where(table.c.refers_to == entry_id, table.c.kind == kind)
    return connection.execute(query.limit(1)).first() is not None


def earlier(engine: Engine, references: Collection[str]) -> dict[str, list[EarlierDecision]]:
    """Return the decisions of each case, oldest first; a case without any is left out."""
    found: defaultdict[str, list[EarlierDecision]] = defaultdict(list)
    with connection_to(engine) as connection:
        reference = _reference(connection)
        later = table.alias()
        final = (
            select(later.c.decision)
            .where(later.c.refers_to == table.c.id, later.c.kind == "override")
            .limit(1)
            .scalar_subquery()
        )
        query = (
            select(reference, table.c.id, table.c.time, table.c.decision, final)
            .where(table.c.kind == "decision", *_of_cases(connection, references))
            .order_by(table.c.sequence)
        )
        for name, *decision in connection.execute(query):
            found[name].append(EarlierDecision(*decision))
    return dict(found)


def _reference(connection: Connection) -> ColumnElement[str]:
    """Return the expression that the index of cases is made of."""
    if connection.dialect.name == "sqlite":
        return literal_column("json_extract(ledger_entries.payload, '$.reference')", Text)
    return literal_column("(ledger_entries.payload::jsonb ->> 'reference')", Text)


def _of_cases(
    connection: Connection, references: Collection[str]
) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for decisions of these cases, the index's own among them."""
    found = "instr" if connection.dialect.name == "sqlite" else "strpos"
    is_in_index: ColumnElement[bool] = literal_column(
        f"""{found}(ledger_entries.payload, '"reference":') > 0"""
    )
    return is_in_index, _reference(connection).in_(references)


def _matches(word: str) -> ColumnElement[bool]:
    if word.lower() in ("approve", "refer", "decline"):
        return table.c.decision == word.lower()
    rating = func.lower(table.c.rating) == word.lower()
    if len(word) < 3:
        return rating
    return or_(rating, table.c.payload.icontains(word, autoescape=True))


def _with_later(connection: Connection, entries: Sequence[Entry]) -> list[EntryHistory]:
    ids = [entry.id for entry in entries]
    query = select(table).where(table.c.refers_to.in_(ids)).order_by(table.c.sequence)
    later: defaultdict[str | None, list[Entry]] = defaultdict(list)
    for row in connection.execute(query):
        later[row.refers_to].append(Entry(*row))
    in_force = read_policies(connection, {entry.policy for entry in entries if entry.policy})
    return [
        EntryHistory(entry, tuple(later[entry.id]), in_force.get(entry.policy or ""))
        for entry in entries
    ]


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
