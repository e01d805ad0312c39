"""Replay the decisions of the ledger under another policy, or under the present winner's PDs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decision.engine import Engine
from service.ledger import Ledger
from service.ledger.storage.database import connection_to
from service.ledger.storage.entries import Entry
from service.ledger.storage.personal_tables import (
    application_of,
    is_present,
    read_protected,
    select_entries,
)
from service.ledger.storage.schema import entries, read_policies
from service.monitoring.fairness import name_groups_of
from service.monitoring.outcomes import outcomes_of
from stages.features.matrix import Floats
from stages.policy.decisions import DECISIONS, Policy
from stages.replay import comparison
from stages.replay.comparison import Side
from stages.replay.policy_file import ReplayError
from stages.replay.scored_rows import ScoredRows

CHUNK = 20_000  # decisions that are held as texts at a time


@dataclass
class RecordedDecisions:
    """Recorded decisions, oldest first; every list has one part per chunk of the ledger."""

    pd: list[Floats] = field(default_factory=list)
    place: list[NDArray[np.int64]] = field(default_factory=list)
    policy: list[str | None] = field(default_factory=list)
    bad: list[Floats] = field(default_factory=list)
    matrix: list[Floats] = field(default_factory=list)
    exposure: list[Floats] = field(default_factory=list)
    protected: list[dict[str, list[object]]] = field(default_factory=list)


def compare(
    ledger: Ledger, engine: Engine, proposed: Policy, *, rescore: bool, maturity: int, minimum: int
) -> dict[str, Any]:
    """Return what a policy would have changed about the decisions that stand in the ledger.

    The present side is what was decided, valued by the present policy; officers' decisions do not
    count. With `rescore` the proposed side has the PDs of the engine's model. An outcome counts
    where its decision is at least `maturity` days old. `reproduced` says how many decisions follow
    again from the recorded PD and the policy of that time, to the last bit.
    """
    read = read_decisions(ledger, engine, maturity)
    if not read.pd:
        raise ReplayError("the ledger has no decision that was not erased")
    x = np.concatenate(read.matrix)
    columns = dict(zip(engine.features.names, x.T, strict=True))
    contract = engine.contract
    then = ScoredRows(
        pd=np.concatenate(read.pd),
        bad=np.concatenate(read.bad),
        features=columns,
        exposure=np.concatenate(read.exposure) if contract.exposure else None,
        groups={
            f.name: name_groups_of(f, [v for part in read.protected for v in part[f.name]])
            for f in contract.protected_fields
        },
    )
    now = replace(then, pd=engine.predict(x)) if rescore else then
    decided = np.concatenate(read.place)
    content = comparison.compare(
        Side(then, decided, engine.policy),
        Side.decided_by(proposed.of(contract, engine.model.mode), now),
        minimum=minimum,
    )
    return content | count_reproduced(ledger, engine, then, decided, read.policy)


def read_decisions(ledger: Ledger, engine: Engine, maturity: int) -> RecordedDecisions:
    """Return the decisions of the ledger whose applications were not erased."""
    contract, read = engine.contract, RecordedDecisions()
    names = [*(f.name for f in engine.features.stated), *engine.features.histories]
    before = datetime.now(UTC) - timedelta(days=maturity)
    for chunk in read_chunks(ledger):
        with connection_to(ledger.engine) as connection:
            read.bad.append(outcomes_of(connection, chunk, before))
        apart = read_protected(ledger.engine, [entry.sequence for entry in chunk])
        applications = [application_of(e, apart.get(e.sequence)) or {} for e in chunk]
        read.pd.append(np.array([entry.default_probability for entry in chunk]))
        read.place.append(np.array([DECISIONS.index(str(entry.decision)) for entry in chunk]))
        read.policy += [entry.policy for entry in chunk]
        raw = {name: [a.get(name) for a in applications] for name in names}
        read.matrix.append(engine.features(raw))
        if contract.exposure:
            money = [float(a.get(contract.exposure) or 0) for a in applications]
            read.exposure.append(np.array(money))
        values = {f.name: [a.get(f.name) for a in applications] for f in contract.protected_fields}
        read.protected.append(values)
    return read


def read_chunks(ledger: Ledger) -> Iterator[list[Entry]]:
    """Yield the decisions that were not erased, oldest first."""
    last = 0
    while True:
        with connection_to(ledger.engine) as connection:
            query = select_entries(connection).where(
                entries.c.kind == "decision", entries.c.sequence > last, *is_present(connection)
            )
            rows = connection.execute(query.order_by(entries.c.sequence).limit(CHUNK))
            chunk = [Entry(*row) for row in rows]
        if not chunk:
            return
        last = chunk[-1].sequence
        yield chunk


def count_reproduced(
    ledger: Ledger,
    engine: Engine,
    rows: ScoredRows,
    decided: NDArray[np.int64],
    policies: list[str | None],
) -> dict[str, int]:
    """Return how many decisions the policies that made them make again, and how many not.

    A decision whose policy is not recorded counts as neither.
    """
    digests = np.array([digest or "" for digest in policies])
    names = sorted(set(digests.tolist()))
    with connection_to(ledger.engine) as connection:
        recorded = read_policies(connection, set(names))
    again = differ = 0
    for name, content in recorded.items():
        policy = Policy.from_record(content).with_rules(engine.contract, engine.model.mode)
        made = np.flatnonzero(digests == name)
        columns = {feature: values[made] for feature, values in rows.features.items()}
        same = int((policy.decide(rows.pd[made], columns) == decided[made]).sum())
        again, differ = again + same, differ + len(made) - same
    return {"reproduced": again, "not_reproduced": differ}
