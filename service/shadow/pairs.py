"""Read what the champion decided and what a challenger says of the same applications."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, func, select

from service.decision.engine import Engine
from service.decision.identity import Identity
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
from service.shadow.challenger import KIND
from service.shadow.records import is_scored_by
from stages.features.matrix import Floats
from stages.metrics.clusters import number_labels
from stages.policy.decisions import DECISIONS, Policy
from stages.replay.policy_figures import Places
from stages.replay.scored_rows import ScoredRows

NOBODY = (
    "no challenger has scored a decision: run `python -m service.shadow score --model FOLDER`, or "
    "set CREDIT_PD_CHALLENGER"
)
CHUNK = 20_000  # decisions that are held as texts at a time


class NotComparable(Exception):
    """There is nothing to compare; the message says why."""


class Pair(NamedTuple):
    """A decision, its application, its outcome once mature, and the challenger's score of it."""

    entry: Entry
    application: dict[str, Any]
    bad: float
    pd: float
    decision: str


@dataclass(frozen=True)
class ComparedScores:
    """The champion's rows and decisions, and the PDs and decisions of a challenger, (n,) each.

    `cases` has the reference of the case that a decision is about, None where it has none.
    """

    champion: ScoredRows
    decided: Places
    challenger_pd: Floats
    challenger_decided: Places
    cases: list[str | None]


def list_challengers(ledger: Ledger) -> list[Identity]:
    """Return every model and policy that scored in shadow, the newest first.

    Raises NotComparable where there is none.
    """
    identity = entries.c.model, entries.c.policy
    query = select(*identity).where(entries.c.kind == KIND).group_by(*identity)
    with connection_to(ledger.engine) as connection:
        rows = connection.execute(query.order_by(func.max(entries.c.sequence).desc())).all()
    if not rows:
        raise NotComparable(NOBODY)
    return [{"model": row.model, "policy": row.policy} for row in rows]


def read_policy(ledger: Ledger, identity: Identity) -> Policy:
    """Return the recorded policy of a challenger; raises NotComparable where it is not there."""
    name = str(identity["policy"])
    with connection_to(ledger.engine) as connection:
        content = read_policies(connection, {name}).get(name)
    if content is None:
        raise NotComparable(f"the ledger does not hold the policy {name} of the challenger")
    return Policy.from_record(content)


def count_refused(ledger: Ledger, identity: Identity) -> dict[str, int]:
    """Return how many applications the challenger could not score, by field and problem."""
    query = select(entries.c.payload).where(
        *is_scored_by(identity), entries.c.default_probability.is_(None)
    )
    counts: Counter[str] = Counter()
    with connection_to(ledger.engine) as connection:
        for payload in connection.execute(query).scalars():
            refused = json.loads(payload)["refused"]
            counts.update({f"{each['field']} {each['code']}".strip() for each in refused})
    return dict(counts.most_common())


def read_scores(
    ledger: Ledger, engine: Engine, challenger: Identity, maturity: int
) -> ComparedScores:
    """Return the decisions of the champion that the challenger has scored and nobody erased.

    An outcome counts where its decision is at least `maturity` days old. Raises NotComparable.
    """
    parts = [
        arrays_of(engine, pairs) for pairs in read_chunks(ledger, engine, challenger, maturity)
    ]
    if not parts:
        raise NotComparable(
            f"the challenger {challenger['model']} has scored no decision of the champion "
            f"{engine.identity['model']}"
        )
    champion = ScoredRows.concatenate([part.champion for part in parts])
    groups = {
        field.name: name_groups_of(field, champion.groups[field.name].tolist())
        for field in engine.contract.protected_fields
    }
    cases = [case for part in parts for case in part.cases]
    return ComparedScores(
        replace(champion, groups=groups, cluster=number_labels(cases)),
        np.concatenate([part.decided for part in parts]),
        np.concatenate([part.challenger_pd for part in parts]),
        np.concatenate([part.challenger_decided for part in parts]),
        cases,
    )


def arrays_of(engine: Engine, pairs: Sequence[Pair]) -> ComparedScores:
    """Return pairs as arrays; the groups are the values of protected attributes themselves."""
    money = engine.contract.exposure
    applications = [pair.application for pair in pairs]
    champion = ScoredRows(
        pd=np.array([pair.entry.default_probability for pair in pairs], dtype=np.float64),
        bad=np.array([pair.bad for pair in pairs], dtype=np.float64),
        exposure=np.array([float(a.get(money) or 0) for a in applications]) if money else None,
        groups={
            field.name: np.array([a.get(field.name) for a in applications], dtype=object)
            for field in engine.contract.protected_fields
        },
    )
    return ComparedScores(
        champion,
        np.array([DECISIONS.index(str(pair.entry.decision)) for pair in pairs]),
        np.array([pair.pd for pair in pairs]),
        np.array([DECISIONS.index(pair.decision) for pair in pairs]),
        [pair.entry.content.get("reference") for pair in pairs],
    )


def read_chunks(
    ledger: Ledger, engine: Engine, challenger: Identity, maturity: int
) -> Iterator[list[Pair]]:
    """Yield the champion's decisions with the challenger's scores, oldest first."""
    before = datetime.now(UTC) - timedelta(days=maturity)
    last = 0
    while True:
        with connection_to(ledger.engine) as connection:
            rows = _read_rows(connection, engine.identity, challenger, last)
            found = [Entry(*row[:-2]) for row in rows]
            outcomes = outcomes_of(connection, found, before)
        if not found:
            return
        last = found[-1].sequence
        apart = read_protected(ledger.engine, [entry.sequence for entry in found])
        yield [
            Pair(
                entry,
                application_of(entry, apart.get(entry.sequence)) or {},
                bad,
                row[-2],
                row[-1],
            )
            for entry, bad, row in zip(found, outcomes.tolist(), rows, strict=True)
        ]


def _read_rows(
    connection: Connection, champion: Identity, challenger: Identity, after: int
) -> list[tuple[Any, ...]]:
    """Return the rows of decisions after an entry, with the PD and decision of the challenger."""
    score = entries.alias()
    query = (
        select_entries(connection)
        .add_columns(score.c.default_probability, score.c.decision)
        .join(score, score.c.refers_to == entries.c.id)
        .where(
            entries.c.kind == "decision",
            entries.c.model == champion["model"],
            entries.c.sequence > after,
            score.c.kind == KIND,
            score.c.model == challenger["model"],
            score.c.policy == challenger["policy"],
            score.c.default_probability.is_not(None),
            *is_present(connection),
        )
        .order_by(entries.c.sequence)
        .limit(CHUNK)
    )
    return [tuple(row) for row in connection.execute(query)]
