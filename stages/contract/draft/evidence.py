"""What speaks for and against a field that may know the outcome too early."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from stages.contract.draft import leakage
from stages.contract.draft.book import DraftField, RawBook

Floats = NDArray[np.float64]
ROWS = 20_000
FOLDS = 3
TENTHS = 10
OFTEN = 0.1  # difference between the shares of filled rows that is worth saying


def weigh(book: RawBook, parts: list[DraftField], date: str | None) -> None:
    """Say of each suspected leak what the AUC would be without it, and when it is filled."""
    suspects = [p for p in parts if p.suspicion]
    if not suspects:
        return
    features = [p for p in parts if p.is_feature and p.known_at == "application"]
    seen = leakage.sample_rows(book.loans)
    rows = sample_outcomes(book.outcome.y[seen])
    bad = book.outcome.y[seen][rows]
    decided = next((p.days[seen] for p in parts if p.name == date and p.table == book.base), None)
    columns = {p.identity: p.values[rows] for p in (*features, *suspects) if p.values.size}
    everything = out_of_fold_auc(list(columns.values()), bad)
    for part in suspects:
        alone = out_of_fold_auc([columns[part.identity]], bad)
        others = [x for name, x in columns.items() if name != part.identity]
        said = [f"AUC {alone:.3f} by itself"]
        if others:
            said.append(
                f"{everything:.3f} with all fields, {out_of_fold_auc(others, bad):.3f} without it"
            )
        if decided is not None:
            said.append(describe_filling(part.values, decided))
        part.evidence = "; ".join(filter(None, said))


def sample_outcomes(y: Floats) -> NDArray[np.int64]:
    """Return the places of at most ROWS known outcomes, evenly over y (n,), NaN where unknown."""
    known = np.flatnonzero(~np.isnan(y))
    if len(known) <= ROWS:
        return known
    return known[np.linspace(0, len(known) - 1, ROWS).astype(np.int64)]


def out_of_fold_auc(columns: list[Floats], bad: Floats) -> float:
    """Return the AUC of a small boosted model on rows that it was not fitted on.

    `columns` holds (n,) each, NaN where missing; `bad` (n,) is 1 or 0. NaN where an outcome has
    fewer rows than there are folds.
    """
    if min(bad.sum(), len(bad) - bad.sum()) < FOLDS:
        return float("nan")
    model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    x = np.column_stack(columns)
    pd = cross_val_predict(model, x, bad, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(bad, pd))


def describe_filling(values: Floats, decided: Floats) -> str:
    """Say how often a field (n,) is filled for the oldest and the youngest tenth of the loans.

    `decided` (n,) are the days of the decisions. A field that fills up as loans age is known late.
    It is "" where both shares are about the same.
    """
    known = np.flatnonzero(~np.isnan(decided))
    order = known[np.argsort(decided[known], kind="stable")]
    size = len(order) // TENTHS
    if not size:
        return ""
    oldest, youngest = (~np.isnan(values[part]) for part in (order[:size], order[-size:]))
    old, young = float(oldest.mean()), float(youngest.mean())
    if abs(old - young) < OFTEN:
        return ""
    return f"filled for {old:.0%} of the oldest tenth of the loans, {young:.0%} of the youngest"
