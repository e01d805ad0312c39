"""Append overrides, proposals and their answers: what they rest on is read under the chain's lock.

So of several simultaneous ones, in any processes, one is recorded, and the others are refused.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from service.ledger.ledger import AlreadyRecorded, Ledger
from service.ledger.storage.entries import Draft, Entry
from service.ledger.storage.officer_drafts import pending_proposal
from service.ledger.storage.personal_tables import select_entries
from service.ledger.storage.schema import entries as table


def decide(ledger: Ledger, override: Draft) -> Entry:
    """Append an override or a proposal about an open referral without a pending proposal.

    Raises AlreadyRecorded where a person has decided, or a proposal waits for a second person.
    """
    decided = str(override.refers_to)

    def check(connection: Connection) -> Sequence[Draft]:
        if require_open(connection, decided) is not None:
            raise AlreadyRecorded(f"a proposal about {decided} waits for a second person")
        return (override,)

    return ledger.append_checked(check)[0]


def answer(ledger: Ledger, proposal: Entry, make: Callable[[Entry], Draft]) -> Entry:
    """Append what `make` returns for a proposal, if it still waits for its answer.

    Raises AlreadyRecorded where it does not; what `make` raises is passed on.
    """

    def check(connection: Connection) -> Sequence[Draft]:
        pending = require_open(connection, str(proposal.refers_to))
        if pending is None or pending.id != proposal.id:
            raise AlreadyRecorded(f"{proposal.id} has its answer already")
        return (make(pending),)

    return ledger.append_checked(check)[0]


def require_open(connection: Connection, decided: str) -> Entry | None:
    """Return the pending proposal about a decision; raises AlreadyRecorded where it is decided."""
    query = select_entries(connection).where(table.c.refers_to == decided)
    later = [Entry(*row) for row in connection.execute(query.order_by(table.c.sequence))]
    if any(entry.kind == "override" for entry in later):
        raise AlreadyRecorded(f"a person has already decided about {decided}")
    return pending_proposal(later)
