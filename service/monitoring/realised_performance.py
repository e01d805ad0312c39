"""Compare the PDs of mature decisions with their outcomes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from service import settings
from service.ledger import Ledger
from service.ledger.storage.database import connection_to
from service.ledger.storage.schema import entries, read_policies
from stages.judging import evaluation
from stages.metrics import metrics
from stages.params.commands import Monitor as MonitorSection

MAX_OUTCOMES = 100_000  # the newest outcomes, of which the performance is computed


@dataclass(frozen=True)
class MatureOutcomes:
    """Mature decisions with an outcome, as arrays (n,), and the number of all recorded outcomes.

    `decision` is what was decided by the cut-offs of that time. `margin` and `loss` are what the
    policy of the decision says of a good and of a bad loan, NaN where it was not recorded.
    """

    recorded: int
    day: NDArray[np.datetime64]
    pd: NDArray[np.float64]
    bad: NDArray[np.int64]
    rating: NDArray[np.str_]
    model: NDArray[np.str_]
    decision: NDArray[np.str_]
    margin: NDArray[np.float64]
    loss: NDArray[np.float64]


def maturity_days(config: MonitorSection) -> int:
    """Return after how many days a loan counts: the setting, else what params.yaml says."""
    days = settings.load().maturity_days
    return config.maturity_days if days is None else days


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
    names = ("time", "default_probability", "rating", "model", "decision", "policy")
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
        policies = read_policies(connection, {r.policy for r in rows if r.policy})
    money = [policies.get(r.policy, {}) for r in rows]
    return MatureOutcomes(
        count_outcomes(ledger),
        np.array([r.time[:10] for r in rows], dtype="datetime64[D]"),
        np.array([r.default_probability for r in rows], dtype=np.float64),
        np.array([json.loads(r.payload)["bad"] for r in rows], dtype=np.int64),
        np.array([r.rating for r in rows], dtype=np.str_),
        np.array([r.model for r in rows], dtype=np.str_),
        np.array([r.decision for r in rows], dtype=np.str_),
        np.array([policy.get("margin", np.nan) for policy in money], dtype=np.float64),
        np.array([policy.get("loss_given_default", np.nan) for policy in money], dtype=np.float64),
    )


def realised_performance(mature: MatureOutcomes) -> dict[str, Any]:
    """Return ROC-AUC, Brier score, ECE and bad rate overall, and bad rates by several labels.

    They are the decision of that time, the vintage and the rating; `expected` is the mean PD of the
    same loans. `profit` is that of a unit lent to the approved, by the policies that approved them.
    """
    if not len(mature.bad):
        return {"outcomes": mature.recorded, "mature": 0}
    summary = metrics.summary(mature.bad, mature.pd, 1.0)
    names = ("roc_auc", "brier", "ece", "mean_pd", "bad_rate")
    return {
        "outcomes": mature.recorded,
        "mature": len(mature.bad),
        "all": evaluation.round_figures({name: summary[name] for name in names}),
        "profit": profits(mature),
        "by_decision": bad_rates(mature.decision, mature),
        "by_vintage": bad_rates(evaluation.name_vintages(mature.day), mature),
        "by_rating": bad_rates(mature.rating, mature),
    }


def profits(mature: MatureOutcomes) -> dict[str, float | None]:
    """Return the realised and the expected profit of a unit lent; None where no policy says it."""
    lent = (mature.decision == "approve") & np.isfinite(mature.margin)
    if not lent.any():
        return {"realised": None, "expected": None}
    margin, loss = mature.margin[lent], mature.loss[lent]

    def profit_earned(bad: NDArray[Any]) -> float:
        return float(((1 - bad) * margin - bad * loss).mean())

    figures = {
        "realised": profit_earned(mature.bad[lent]),
        "expected": profit_earned(mature.pd[lent]),
    }
    return evaluation.round_figures(figures)


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
        rates[str(label)] = evaluation.round_figures(facts)
    return rates
