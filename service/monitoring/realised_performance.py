"""Compare the PDs of mature decisions with their outcomes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from service.ledger import Ledger
from service.ledger.database import connection_to
from service.ledger.schema import entries
from stages.judging import evaluation
from stages.metrics import metrics

MAX_OUTCOMES = 100_000  # the newest outcomes, of which the performance is computed


@dataclass(frozen=True)
class MatureOutcomes:
    """Mature decisions with an outcome, as arrays (n,), and the number of all recorded outcomes."""

    recorded: int
    day: NDArray[np.datetime64]
    pd: NDArray[np.float64]
    bad: NDArray[np.int64]
    rating: NDArray[np.str_]
    model: NDArray[np.str_]


def count_outcomes(ledger: Ledger) -> int:
    """Return the number of recorded outcomes."""
    query = select(func.count()).where(entries.c.kind == "outcome")
    with connection_to(ledger.engine) as connection:
        return int(connection.execute(query).scalar_one())


def mature_outcomes(ledger: Ledger, maturity_days: int, today: date) -> MatureOutcomes:
    """Return at most MAX_OUTCOMES outcomes of decisions at least `maturity_days` old, newest first.

    Of younger loans only those that went bad early have an outcome, so they are left out.
    """
    decided, after = entries.alias(), entries.alias()
    names = ("time", "default_probability", "rating", "model")
    until = str(today - timedelta(days=maturity_days - 1))  # ISO 8601 texts sort like times
    query = (
        select(*(decided.c[name] for name in names), after.c.payload)
        .join(after, after.c.refers_to == decided.c.id)
        .where(after.c.kind == "outcome", decided.c.kind == "decision", decided.c.time < until)
        .order_by(after.c.sequence.desc())
        .limit(MAX_OUTCOMES)
    )
    with connection_to(ledger.engine) as connection:
        rows = connection.execute(query).all()
    return MatureOutcomes(
        count_outcomes(ledger),
        np.array([r.time[:10] for r in rows], dtype="datetime64[D]"),
        np.array([r.default_probability for r in rows], dtype=np.float64),
        np.array([json.loads(r.payload)["bad"] for r in rows], dtype=np.int64),
        np.array([r.rating for r in rows], dtype=np.str_),
        np.array([r.model for r in rows], dtype=np.str_),
    )


def realised_performance(mature: MatureOutcomes, cut_off: float) -> dict[str, Any]:
    """Return ROC-AUC, Brier score, ECE and bad rate overall, and bad rates by vintage and rating.

    `expected` is the mean PD of the same loans.
    """
    if not len(mature.bad):
        return {"outcomes": mature.recorded, "mature": 0}
    summary = metrics.summary(mature.bad, mature.pd, cut_off)
    names = ("roc_auc", "brier", "ece", "mean_pd", "bad_rate")
    return {
        "outcomes": mature.recorded,
        "mature": len(mature.bad),
        "all": evaluation.rounded({name: summary[name] for name in names}),
        "by_vintage": bad_rates(evaluation.name_vintages(mature.day), mature),
        "by_rating": bad_rates(mature.rating, mature),
    }


def bad_rates(labels: NDArray[np.str_], mature: MatureOutcomes) -> dict[str, Any]:
    """Return `rows`, `bad_rate` and `expected` (mean PD) of the loans by their labels (n,)."""
    rates = {}
    for label in np.unique(labels):
        rows = labels == label
        facts = {
            "rows": int(rows.sum()),
            "bad_rate": float(mature.bad[rows].mean()),
            "expected": float(mature.pd[rows].mean()),
        }
        rates[str(label)] = evaluation.rounded(facts)
    return rates
