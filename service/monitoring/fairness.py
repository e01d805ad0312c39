"""Approval and score by group of the protected attributes, where applications record them."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.monitoring.windows import Window
from stages.contract.schema import Contract
from stages.judging.evaluation import groups


def by_group(contract: Contract, window: Window, minimum: int) -> dict[str, Any]:
    """Rows, approval rate and mean PD of each group of at least `minimum` decisions."""
    approved = window.decision == "approve"
    found: dict[str, Any] = {}
    for field in contract.protected:
        values = window.recorded(field.name)
        if all(v is None for v in values):
            continue
        numbers = [np.nan if v is None else v for v in values] if field.is_numeric else values
        labels = groups(field, np.array(numbers) if field.is_numeric else numbers)
        found[field.name] = {
            str(label): {
                "rows": int(own.sum()),
                "approval_rate": float(approved[own].mean()),
                "mean_pd": float(window.pd[own].mean()),
            }
            for label in np.unique(labels)
            if (own := labels == label).sum() >= minimum
        }
    return found


def findings(by_field: dict[str, Any], lowest_ratio: float) -> list[dict[str, Any]]:
    """Attributes whose worst group is approved less than `lowest_ratio` as often as the best.

    The ratio 0.8 is the four-fifths rule (29 CFR 1607.4).
    """
    found = []
    for field, own in by_field.items():
        rates = {g: facts["approval_rate"] for g, facts in own.items() if g != "missing"}
        if len(rates) < 2 or max(rates.values()) == 0:
            continue
        worst = min(rates, key=lambda g: rates[g])
        ratio = rates[worst] / max(rates.values())
        if ratio < lowest_ratio:
            words = f"{worst} is approved {ratio:.2f} times as often as the best group"
            found.append(
                {
                    "field": field,
                    "rule": "approval_ratio",
                    "value": ratio,
                    "bound": lowest_ratio,
                    "loudness": "warning",
                    "words": words,
                }
            )
    return found
