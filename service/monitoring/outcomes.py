"""Record the outcomes of loans.

`python -m service.monitoring.outcomes FILE` records a CSV with the columns `prediction_id`, `bad`
(0 or 1) and `date` (YYYY-MM-DD, when the outcome was known). Without FILE the command prints the
realised and the expected performance of mature decisions, overall, by vintage and by rating.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from service.ledger import Draft, Ledger, LedgerUnavailable, draft
from service.ledger.migrations import require_tables
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database import connection_to
from service.ledger.storage.entries import Entry
from service.ledger.storage.schema import entries
from service.monitoring.realised_performance import (
    mature_outcomes,
    maturity_days,
    realised_performance,
)
from stages import files, params, project
from stages.features.matrix import Floats

COLUMNS = ("prediction_id", "bad", "date")
EASTERNMOST = timezone(timedelta(hours=14))  # the time zone in which a day begins first
IDS_PER_QUERY = 500
ROWS_PER_TRANSACTION = 1_000  # no decision can be recorded during the transaction


class RejectedRow(NamedTuple):
    """A row that was not recorded, with its number from 0 and the reason."""

    row: int
    prediction_id: str
    reason: str


def record(
    ledger: Ledger,
    rows: Iterable[Mapping[str, Any]],
    caller: Mapping[str, Any] | None = None,
) -> tuple[int, list[RejectedRow]]:
    """Record all valid outcomes; return the number of recorded rows, and the rejected rows.

    A row is rejected when its decision does not exist or already has an outcome (in the ledger or
    earlier in `rows`), when its date lies before the decision or in the future, and when it cannot
    be read. All valid rows are recorded in one transaction or, with LedgerUnavailable, none. The
    entries state the `caller` that reports them.
    """
    listed = list(rows)
    ids = [str(row.get("prediction_id")) for row in listed]
    storable = [text for text in ids if "\0" not in text]  # PostgreSQL accepts no text with NUL
    with connection_to(ledger.engine) as connection:
        decided_at = decision_times(connection, storable)
    rejected: list[RejectedRow] = []

    def make_drafts(connection: Connection) -> list[Draft]:
        # No other process can record an outcome before these drafts are recorded.
        outcomes = recorded_outcomes(connection, storable)
        drafts = []
        for number, (prediction_id, row) in enumerate(zip(ids, listed, strict=True)):
            try:
                drafts.append(draft_outcome(row, decided_at, outcomes, caller))
            except ValueError as error:
                rejected.append(RejectedRow(number, prediction_id, str(error)))
                continue
            outcomes[prediction_id] = int(row["bad"])
        return drafts

    return len(ledger.append_checked(make_drafts)), rejected


def draft_outcome(
    row: Mapping[str, Any],
    decided_at: Mapping[str, str],
    outcomes: Mapping[str, int],
    caller: Mapping[str, Any] | None = None,
) -> Draft:
    """Return the draft of one row; raises ValueError with the reason when it is not valid."""
    unknown = set(row) - set(COLUMNS)
    if unknown:
        first = min(map(str, unknown))
        raise ValueError(f"unknown field {first!r}; allowed are {', '.join(COLUMNS)}")
    prediction_id = str(row.get("prediction_id"))
    if "\0" in prediction_id:
        raise ValueError(f"prediction_id must have no NUL character; got {prediction_id!r}")
    if str(row.get("bad")) not in ("0", "1"):
        raise ValueError(f"bad must be 0 or 1; got {row.get('bad')!r}")
    bad = int(row["bad"])
    try:
        day = date.fromisoformat(str(row.get("date")))
    except ValueError:
        raise ValueError(f"date must be YYYY-MM-DD; got {row.get('date')!r}") from None
    if prediction_id not in decided_at:
        raise ValueError("there is no decision with this prediction_id")
    if prediction_id in outcomes:
        before = outcomes[prediction_id]
        same = "the same outcome" if before == bad else f"another outcome, bad {before},"
        raise ValueError(f"{same} is already recorded")
    if str(day) < decided_at[prediction_id][:10]:
        raise ValueError(f"date {day} lies before the decision of {decided_at[prediction_id][:10]}")
    if day > datetime.now(EASTERNMOST).date():
        raise ValueError(f"date {day} lies in the future")
    content: dict[str, Any] = {"bad": bad, "date": str(day)}
    if caller is not None:
        content["caller"] = caller
    return draft("outcome", content, refers_to=prediction_id)


def decision_times(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Return the time (UTC, ISO 8601) of each of these decisions that exists."""
    times: dict[str, str] = {}
    query = select(entries.c.id, entries.c.time).where(entries.c.kind == "decision")
    for start in range(0, len(ids), IDS_PER_QUERY):
        part = ids[start : start + IDS_PER_QUERY]
        times |= {
            row.id: row.time for row in connection.execute(query.where(entries.c.id.in_(part)))
        }
    return times


def recorded_outcomes(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Return the outcome (1 is bad) of each of these decisions that has one."""
    outcomes: dict[str, int] = {}
    query = select(entries.c.refers_to, entries.c.payload).where(entries.c.kind == "outcome")
    for start in range(0, len(ids), IDS_PER_QUERY):
        part = ids[start : start + IDS_PER_QUERY]
        for row in connection.execute(query.where(entries.c.refers_to.in_(part))):
            outcomes[row.refers_to] = json.loads(row.payload)["bad"]
    return outcomes


def outcomes_of(connection: Connection, decisions: Sequence[Entry], before: datetime) -> Floats:
    """Return the outcome (n,) of each decision, 1 is bad; NaN without one, or not made `before`."""
    recorded = recorded_outcomes(connection, [decision.id for decision in decisions])
    old = before.isoformat()
    mature = (recorded.get(d.id, np.nan) if d.time < old else np.nan for d in decisions)
    return np.fromiter(mature, dtype=np.float64, count=len(decisions))


def record_file(ledger: Ledger, path: Path) -> int:
    """Record a CSV file, print the rejected rows, and return the exit code.

    Raises ValueError for a file that cannot be read, or that lacks a column.
    """
    recorded = first = 0
    rejected: list[RejectedRow] = []
    reader = csv.DictReader(StringIO(files.read_text(path)))
    if not {"prediction_id", "bad"} <= {*(reader.fieldnames or ())}:
        raise ValueError(
            f"{path} must have the columns prediction_id and bad, and may have date; got "
            f"{', '.join(reader.fieldnames or ()) or 'none'}"
        )
    while rows := list(islice(reader, ROWS_PER_TRANSACTION)):
        count, refused = record(ledger, rows)
        recorded += count
        rejected += [row._replace(row=row.row + first) for row in refused]
        first += len(rows)
    for row in rejected:
        print(f"row {row.row}: {row.prediction_id}: {row.reason}", file=sys.stderr)
    print(f"{recorded:,} recorded, {len(rejected):,} refused")
    return 1 if rejected else 0


def main() -> None:
    """Record a file, or print the realised performance."""
    parser = argparse.ArgumentParser("python -m service.monitoring.outcomes", description=__doc__)
    parser.add_argument("file", nargs="?", type=project.resolve, help="a CSV of outcomes to record")
    options = parser.parse_args()
    try:
        with closing(Ledger(deadline=LONG_DEADLINE)) as ledger:
            run(ledger, options.file)
    except (LedgerUnavailable, ValueError, csv.Error) as error:
        sys.exit(f"outcomes: {error}")


def run(ledger: Ledger, file: Path | None) -> None:
    """Record a file, or print the realised performance where there is none."""
    require_tables(ledger.engine)
    if file is not None:
        sys.exit(record_file(ledger, file))
    config = params.load(with_candidates=False)
    today = datetime.now(UTC).date()
    mature = mature_outcomes(ledger, maturity_days(config.monitor), today)
    print(json.dumps(realised_performance(mature), indent=2))


if __name__ == "__main__":
    project.enter()
    main()
