"""What became of the loans: outcomes recorded against decisions, and performance realised.

`python -m service.monitoring.outcomes FILE` records a CSV with the columns `prediction_id`, `bad`
(0 or 1) and `date` (YYYY-MM-DD, when it was known); without FILE it says what has been realised
so far, by vintage and rating, against what was expected.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from service.ledger import Draft, Ledger, LedgerUnavailable, draft
from service.ledger.database import connected
from service.ledger.schema import entries, migrate
from stages import params
from stages.judging import evaluation, metrics

COLUMNS = ("prediction_id", "bad", "date")
CHUNK = 500  # ids in one query
MOST = 100_000  # outcomes that are looked at together


class Refusal(NamedTuple):
    """A row that was not recorded, and why."""

    row: int
    prediction_id: str
    reason: str


def record(ledger: Ledger, rows: Iterable[Mapping[str, Any]]) -> tuple[int, list[Refusal]]:
    """Record every outcome that can be; returns how many were, and the refused rows.

    Refused are unknown decisions, an outcome already recorded (the same or another), one twice in
    `rows`, one dated before its decision or in the future, and rows that cannot be read.
    """
    listed = list(rows)
    wanted = [str(row.get("prediction_id")) for row in listed]
    decided, known = lookup(ledger, wanted)
    drafts: list[Draft] = []
    refused: list[Refusal] = []
    for number, row in enumerate(listed):
        try:
            made = outcome(row, decided, known)
        except ValueError as error:
            refused.append(Refusal(number, wanted[number], str(error)))
            continue
        known[wanted[number]] = int(row["bad"])
        drafts.append(made)
    ledger.append_many(drafts)
    return len(drafts), refused


def outcome(row: Mapping[str, Any], decided: dict[str, str], known: dict[str, int]) -> Draft:
    """One row as a ledger draft; ValueError says why it cannot be one."""
    unknown = set(row) - set(COLUMNS)
    if unknown:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r}; allowed are {', '.join(COLUMNS)}")
    which = str(row.get("prediction_id"))
    if str(row.get("bad")) not in ("0", "1"):
        raise ValueError(f"bad must be 0 or 1; got {row.get('bad')!r}")
    bad = int(row["bad"])
    try:
        day = date.fromisoformat(str(row.get("date")))
    except ValueError:
        raise ValueError(f"date must be YYYY-MM-DD; got {row.get('date')!r}") from None
    if which not in decided:
        raise ValueError("there is no decision with this prediction_id")
    if which in known:
        same = (
            "the same outcome" if known[which] == bad else f"another outcome, bad {known[which]},"
        )
        raise ValueError(f"{same} is already recorded")
    if str(day) < decided[which][:10]:
        raise ValueError(f"date {day} lies before the decision of {decided[which][:10]}")
    if day > datetime.now(UTC).date():
        raise ValueError(f"date {day} lies in the future")
    return draft("outcome", {"bad": bad, "date": str(day)}, refers_to=which)


def lookup(ledger: Ledger, ids: list[str]) -> tuple[dict[str, str], dict[str, int]]:
    """Of these decisions, the time of each that exists, and the outcome of each that has one."""
    times: dict[str, str] = {}
    known: dict[str, int] = {}
    with connected(ledger.engine) as connection:
        for start in range(0, len(ids), CHUNK):
            some = ids[start : start + CHUNK]
            own = select(entries.c.id, entries.c.time).where(entries.c.kind == "decision")
            for which, time in connection.execute(own.where(entries.c.id.in_(some))):
                times[which] = time
            later = select(entries.c.refers_to, entries.c.payload).where(
                entries.c.kind == "outcome"
            )
            for which, payload in connection.execute(later.where(entries.c.refers_to.in_(some))):
                known[which] = json.loads(payload)["bad"]
    return times, known


@dataclass(frozen=True)
class Ripe:
    """Decisions (n,) that are old enough and have an outcome, of `recorded` outcomes in all."""

    recorded: int
    day: NDArray[np.datetime64]
    pd: NDArray[np.float64]
    bad: NDArray[np.int64]
    rating: NDArray[np.str_]
    model: NDArray[np.str_]


def recorded(ledger: Ledger) -> int:
    """How many outcomes there are."""
    query = select(func.count()).where(entries.c.kind == "outcome")
    with connected(ledger.engine) as connection:
        return int(connection.execute(query).scalar_one())


def ripe(ledger: Ledger, maturity_days: int, today: date) -> Ripe:
    """The newest outcomes, at most MOST, of decisions at least `maturity_days` old.

    Counting younger loans would count only those that went bad early.
    """
    decided, after = entries.alias(), entries.alias()
    names = ("time", "default_probability", "rating", "model")
    until = str(today - timedelta(days=maturity_days - 1))  # texts of times sort as times do
    query = (
        select(*(decided.c[name] for name in names), after.c.payload)
        .join(after, after.c.refers_to == decided.c.id)
        .where(after.c.kind == "outcome", decided.c.kind == "decision", decided.c.time < until)
        .order_by(after.c.sequence.desc())
        .limit(MOST)
    )
    with connected(ledger.engine) as connection:
        rows = connection.execute(query).all()
    return Ripe(
        recorded(ledger),
        np.array([r.time[:10] for r in rows], dtype="datetime64[D]"),
        np.array([r.default_probability for r in rows], dtype=np.float64),
        np.array([json.loads(r.payload)["bad"] for r in rows], dtype=np.int64),
        np.array([r.rating for r in rows], dtype=np.str_),
        np.array([r.model for r in rows], dtype=np.str_),
    )


def realised(of: Ripe, cut_off: float) -> dict[str, Any]:
    """AUC, calibration and bad rate in all, by vintage and by rating; `expected` is the mean PD."""
    if not len(of.bad):
        return {"outcomes": of.recorded, "mature": 0}
    figures = metrics.summary(of.bad, of.pd, cut_off)
    return {
        "outcomes": of.recorded,
        "mature": len(of.bad),
        "all": evaluation.rounded(
            {n: figures[n] for n in ("roc_auc", "brier", "ece", "mean_pd", "bad_rate")}
        ),
        "by_vintage": against(evaluation.vintages(of.day), of.bad, of.pd),
        "by_rating": against(of.rating, of.bad, of.pd),
    }


def against(labels: Any, bad: Any, pd: Any) -> dict[str, Any]:
    """Rows, realised bad rate and expected (mean PD) of each label (n,)."""
    found = {}
    for label in np.unique(labels):
        own = labels == label
        facts = {
            "rows": int(own.sum()),
            "bad_rate": float(bad[own].mean()),
            "expected": float(pd[own].mean()),
        }
        found[str(label)] = evaluation.rounded(facts)
    return found


def main() -> None:
    """Record a file, or tell what has been realised."""
    parser = argparse.ArgumentParser(
        prog="python -m service.monitoring.outcomes", description=__doc__
    )
    parser.add_argument("file", nargs="?", type=Path, help="a CSV of outcomes to record")
    options = parser.parse_args()
    ledger = Ledger()
    try:
        migrate(ledger.engine)
        if options.file is None:
            config = params.load()
            today = datetime.now(UTC).date()
            found = ripe(ledger, config.monitor.maturity_days, today)
            print(json.dumps(realised(found, config.policy.pd_cut_off), indent=2))
            return
        with options.file.open(newline="") as lines:
            count, refused = record(ledger, csv.DictReader(lines))
    except (LedgerUnavailable, OSError) as error:
        sys.exit(f"outcomes: {error}")
    finally:
        ledger.close()
    for refusal in refused:
        print(f"row {refusal.row}: {refusal.prediction_id}: {refusal.reason}", file=sys.stderr)
    print(f"{count:,} recorded, {len(refused):,} refused")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
