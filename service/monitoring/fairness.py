"""Approval rate and mean PD by group of the protected attributes that applications state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.monitoring.decision_windows import Window
from stages.contract.fields.field import Field
from stages.contract.schema import Contract
from stages.judging.evaluation import name_groups


def compare_groups(contract: Contract, window: Window, minimum: int) -> dict[str, Any]:
    """Return `rows`, `approval_rate` and `mean_pd` by field and group of `minimum` or more rows."""
    approved = window.decision == "approve"
    groups_of: dict[str, Any] = {}
    for field in contract.protected_fields:
        values = window.values(field.name)
        if all(v is None for v in values):
            continue
        labels = name_groups_of(field, values)
        groups_of[field.name] = {
            str(label): {
                "rows": int(rows.sum()),
                "approval_rate": float(approved[rows].mean()),
                "mean_pd": float(window.pd[rows].mean()),
            }
            for label in np.unique(labels)
            if (rows := labels == label).sum() >= minimum
        }
    return groups_of


def name_groups_of(field: Field, values: Sequence[Any]) -> NDArray[np.str_]:
    """Return the group (n,) of each value of a protected attribute; "missing" for None."""
    if not field.is_numeric:
        return name_groups(field, values)
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    stated = np.isfinite(numbers).any()
    return name_groups(field, numbers) if stated else np.full(len(numbers), "missing")


def find_unequal_approval(by_field: dict[str, Any], lowest_ratio: float) -> list[dict[str, Any]]:
    """Return a finding for each attribute with a group that is approved too rarely.

    This is a group whose approval rate is less than `lowest_ratio` times that of the group approved
    most often. The ratio 0.8 is the four-fifths rule (29 CFR 1607.4).
    """
    findings = []
    for field, group_facts in by_field.items():
        rates = {g: facts["approval_rate"] for g, facts in group_facts.items() if g != "missing"}
        if len(rates) < 2 or max(rates.values()) == 0:
            continue
        worst = min(rates, key=lambda g: rates[g])
        ratio = rates[worst] / max(rates.values())
        if ratio < lowest_ratio:
            words = f"{worst} is approved {ratio:.2f} times as often as the best group"
            findings.append(
                {
                    "field": field,
                    "rule": "approval_ratio",
                    "value": ratio,
                    "bound": lowest_ratio,
                    "loudness": "warning",
                    "words": words,
                }
            )
    return findings
