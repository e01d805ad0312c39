"""Read the newest decisions of the ledger as arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from service.ledger import Ledger
from service.ledger.storage.database import connection_to
from service.ledger.storage.entries import Entry
from service.ledger.storage.personal_tables import is_present, read_protected, select_entries
from service.ledger.storage.schema import entries
from stages.features.matrix import Features, Floats


@dataclass(frozen=True)
class Window:
    """The newest n decisions of one model, oldest first; arrays have shape (n,).

    `first` and `last` are sequence numbers, `since` and `until` times in UTC.
    """

    first: int
    last: int
    since: str
    until: str
    applications: list[dict[str, Any]]
    pd: Floats
    decision: NDArray[np.str_]
    rating: NDArray[np.str_]
    days: NDArray[np.datetime64]

    def columns(self, features: Features) -> dict[str, Floats]:
        """Return the features of the decisions by name, each with shape (n,)."""
        names = [*(f.name for f in features.stated), *features.histories]
        raw = {name: [a.get(name) for a in self.applications] for name in names}
        return dict(zip(features.names, features(raw).T, strict=True))

    def values(self, field: str) -> list[object]:
        """Return a field's value in each application, None where it is absent."""
        return [a.get(field) for a in self.applications]


def count_decisions(ledger: Ledger, model: str, after: int) -> int:
    """Return the number of decisions of a model with sequence numbers above `after`."""
    is_new = (entries.c.kind == "decision", entries.c.model == model, entries.c.sequence > after)
    with connection_to(ledger.engine) as connection:
        return int(connection.execute(select(func.count()).where(*is_new)).scalar_one())


def newest_decisions(ledger: Ledger, model: str, rows: int) -> Window | None:
    """Return the newest `rows` decisions that a model made and nobody erased, None if too few."""
    window = decisions_after(ledger, model, 0, rows)
    return window if window and len(window.pd) == rows else None


def decisions_after(ledger: Ledger, model: str, after: int, most: int) -> Window | None:
    """Return the newest decisions with sequence numbers above `after`, None if there are none.

    They are `most` at most, of one model, and nobody erased them.
    """
    of_model = (entries.c.kind == "decision", entries.c.model == model, entries.c.sequence > after)
    with connection_to(ledger.engine) as connection:
        query = select_entries(connection).where(*of_model, *is_present(connection))
        found = connection.execute(query.order_by(entries.c.sequence.desc()).limit(most))
        newest = [Entry(*row) for row in found][::-1]
    if not newest:
        return None
    contents = [entry.content for entry in newest]
    protected = read_protected(ledger.engine, [e.sequence for e in newest])
    for entry, content in zip(newest, contents, strict=True):
        if entry.sequence in protected:
            content["application"] |= json.loads(protected[entry.sequence])
    return Window(
        first=newest[0].sequence,
        last=newest[-1].sequence,
        since=newest[0].time,
        until=newest[-1].time,
        applications=[c["application"] for c in contents],
        pd=np.array([c["default_probability"] for c in contents]),
        decision=np.array([c["decision"] for c in contents]),
        rating=np.array([c["rating"] for c in contents]),
        days=np.array([entry.time[:10] for entry in newest], dtype="datetime64[D]"),
    )
