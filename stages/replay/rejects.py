"""What is not known of those who were not approved: reject inference as sensitivity, not as truth.

Loans that a policy would newly approve have no outcome where they were declined. Each method below
fills the gap by another assumption; none can be checked on the approved, so the report states what
each would change, and the bounds that hold whatever the truth is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from stages.features.matrix import Floats
from stages.judging.evaluation import round_figures
from stages.policy.decisions import Policy
from stages.replay.policy_figures import APPROVE
from stages.replay.scored_rows import ScoredRows

BANDS = 10
FACTORS = (1.0, 1.5, 2.0, 3.0)  # of the bad rate of approved loans of the nearest PDs
CLIP = 1e-9
ROW = "{:28}{:>14}{:>14}{:>14}"


def compare(rows: ScoredRows, present: Policy, proposed: Policy) -> dict[str, Any]:
    """Return what each method says of the loans that a proposed policy approves.

    The outcomes of rows that the present policy does not approve are hidden from the methods.
    `truth` has them, for the rows whose outcome is known.
    """
    held = present.decide(rows.pd, rows.features) == APPROVE
    approved = proposed.decide(rows.pd, rows.features) == APPROVE
    seen = replace(rows, bad=np.where(held, rows.bad, np.nan))
    methods = assume(seen)
    facts = {name: describe(bad, approved, held, proposed) for name, bad in methods.items()}
    known = rows.has_outcome
    if known.any():
        facts["truth"] = describe(rows.bad[known], approved[known], held[known], proposed)
    return round_figures(
        {"approved": int(approved.sum()), "without_outcome": int((approved & ~held).sum())}
        | {"methods": facts}
    )


def describe(
    bad: Floats, approved: NDArray[np.bool_], held: NDArray[np.bool_], policy: Policy
) -> dict[str, float]:
    """Return the bad rate of all approved and of the newly approved, and the profit, per unit."""
    new, gained = (
        approved & ~held,
        policy.margin - bad * (policy.margin + policy.loss_given_default),
    )
    return {
        "approved_bad_rate": mean(bad[approved]),
        "newly_approved_bad_rate": mean(bad[new]),
        "profit": mean(gained * approved),
    }


def mean(values: Floats) -> float:
    """Return the mean; NaN for no values."""
    return float(values.mean()) if len(values) else float("nan")


def assume(rows: ScoredRows) -> dict[str, Floats]:
    """Return the expected outcome (n,) of each row by each method; known outcomes stay.

    - extrapolation: the PD, recalibrated on the rows with an outcome;
    - fuzzy augmentation: the same, once the others have joined the recalibration: each as bad with
      the weight of its PD, and as good with the rest;
    - parcelling: the bad rate of the rows with an outcome whose PDs are nearest, times a factor;
    - bounds: none of the others goes bad, or all do.
    """
    known, n = rows.has_outcome, rows.rows
    bad = np.where(known, np.nan_to_num(rows.bad), 0.0)
    margin = np.asarray(logit(rows.pd.clip(CLIP, 1 - CLIP)), dtype=np.float64)
    first = recalibrate(margin, margin, bad, known.astype(np.float64))
    weight = np.concatenate((np.where(known, bad, rows.pd), np.where(known, 1 - bad, 1 - rows.pd)))
    both, outcome = np.concatenate((margin, margin)), np.repeat([1.0, 0.0], n)
    parcels = parcel(rows.pd, bad, known)
    said = {
        "extrapolation": first,
        "fuzzy augmentation": recalibrate(margin, both, outcome, weight),
        **{f"parcelling x {factor:g}": np.minimum(parcels * factor, 1.0) for factor in FACTORS},
        "bound: none goes bad": np.zeros(n),
        "bound: all go bad": np.ones(n),
    }
    return {name: np.where(known, bad, values) for name, values in said.items()}


def recalibrate(margin: Floats, x: Floats, bad: Floats, weight: Floats) -> Floats:
    """Return PDs (n,) of margins by a logistic line that is fitted on weighted rows."""
    used = weight > 0
    line = LogisticRegression(C=np.inf)
    line.fit(x[used, None], bad[used], sample_weight=weight[used])
    return np.asarray(line.predict_proba(margin[:, None])[:, 1], dtype=np.float64)


def parcel(pd: Floats, bad: Floats, known: NDArray[np.bool_]) -> Floats:
    """Return the bad rate (n,) of rows with an outcome in the band of PDs that is nearest."""
    edges = np.quantile(pd[known], np.linspace(0, 1, BANDS + 1)[1:-1])
    band = np.searchsorted(edges, pd, side="right")
    count = np.bincount(band[known], minlength=BANDS)
    rate = np.bincount(band[known], weights=bad[known], minlength=BANDS) / np.maximum(count, 1)
    return np.asarray(rate[band], dtype=np.float64)


def as_text(content: dict[str, Any]) -> str:
    """Return what `compare` returned, as a table."""
    lines = [
        f"{content['approved']:,} are approved, {content['without_outcome']:,} of them without an "
        "outcome under the present policy",
        "",
        ROW.format("", "bad rate", "of the new", "profit"),
    ]
    for name, facts in content["methods"].items():
        cells = ("-" if value is None else f"{value:.4f}" for value in facts.values())
        lines.append(ROW.format(name, *cells))
    return "\n".join(lines)
