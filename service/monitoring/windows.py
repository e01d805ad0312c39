"""The last decisions of the ledger, as arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from service.ledger import Ledger
from service.ledger.database import connection_to
from service.ledger.schema import entries
from stages.features.matrix import Features, Floats


@dataclass(frozen=True)
class Window:
    """The newest n decisions of one model, oldest first."""

    first: int
    last: int
    since: str
    until: str
    applications: list[dict[str, Any]]
    pd: Floats
    decision: NDArray[np.str_]
    rating: NDArray[np.str_]

    def columns(self, features: Features) -> dict[str, Floats]:
        """The features of every decision by name, each (n,)."""
        raw = {f.name: [a.get(f.name) for a in self.applications] for f in features.inputs}
        return dict(zip(features.names, features(raw).T, strict=True))

    def recorded(self, field: str) -> list[Any]:
        """What the applications said of a field; None where they did not."""
        return [a.get(field) for a in self.applications]


def waiting(ledger: Ledger, model: str, after: int) -> int:
    """How many decisions of a model follow an entry of the ledger."""
    own = (entries.c.kind == "decision", entries.c.model == model, entries.c.sequence > after)
    with connection_to(ledger.engine) as connection:
        return int(connection.execute(select(func.count()).where(*own)).scalar_one())


def newest(ledger: Ledger, model: str, rows: int) -> Window | None:
    """The newest `rows` decisions of a model; None where there are fewer."""
    wanted = (entries.c.sequence, entries.c.time, entries.c.payload)
    own = (entries.c.kind == "decision", entries.c.model == model)
    query = select(*wanted).where(*own).order_by(entries.c.sequence.desc()).limit(rows)
    with connection_to(ledger.engine) as connection:
        found = connection.execute(query).all()[::-1]
    if len(found) < rows:
        return None
    contents = [json.loads(row.payload) for row in found]
    return Window(
        first=found[0].sequence,
        last=found[-1].sequence,
        since=found[0].time,
        until=found[-1].time,
        applications=[c["application"] for c in contents],
        pd=np.array([c["default_probability"] for c in contents]),
        decision=np.array([c["decision"] for c in contents]),
        rating=np.array([c["rating"] for c in contents]),
    )
