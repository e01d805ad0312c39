"""What the winner's training and test rows say, to stand beside every live figure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logit

from service.ledger.storage.schema import BAND
from stages.policy.decisions import Policy

REFERENCE = Path("models/reference.json")
EVALUATION = Path("models/evaluation.json")
Rows = list[dict[str, Any]]
SCORE = "score"  # the name of the score among the features of a report


class Baselines(NamedTuple):
    """The content of both files of the winner; {} for one that is missing or damaged."""

    reference: dict[str, Any]
    evaluation: dict[str, Any]

    def test(self, figure: str) -> float | None:
        """Return a figure of the test rows, such as `approval_rate`; None where it is unknown."""
        value = self.evaluation.get("test", {}).get(figure, {}).get("value")
        return value if isinstance(value, int | float) else None

    def group(self, field: str, group: str, figure: str) -> float | None:
        """Return a figure of one group of a protected attribute in the test rows."""
        groups = self.evaluation.get("by_group", {}).get(field, {})
        value = groups.get(group, {}).get(figure)
        return value if isinstance(value, int | float) else None

    def shares_between(self, pds: Sequence[float]) -> list[float] | None:
        """Return the shares of the training rows between PDs that rise; None where unknown."""
        quantiles = (self.reference.get(SCORE) or {}).get("quantiles")
        if not quantiles:
            return None
        below = np.interp(logit(pds), quantiles, np.linspace(0, 1, len(quantiles)))
        return [float(share) for share in np.diff(below)]

    def part(self, feature: str) -> dict[str, Any] | None:
        """Return what is known of a feature, or of the score, in the training rows."""
        if feature == SCORE:
            return self.reference.get("score")
        found = self.reference.get("features", {}).get(feature)
        return found if isinstance(found, dict) else None


def read() -> Baselines:
    """Read the files of the winner in this folder."""
    return Baselines(_content(REFERENCE), _content(EVALUATION))


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def with_training_ratings(rows: Rows, policy: Policy, known: Baselines) -> Rows:
    """Return the numbers by rating, with `training`, the number that the training rows suggest."""
    shares = known.shares_between((0, *policy.ratings.values()))
    if shares is None:
        return rows
    total, found = sum(r["decisions"] for r in rows), {r["rating"]: r["decisions"] for r in rows}
    by_rating = dict(zip(policy.ratings, shares, strict=True))
    return [
        {
            "rating": name,
            "decisions": found.get(name, 0),
            "training": total * by_rating.get(name, 0),
        }
        for name in {**by_rating, **found}
    ]


def with_training_scores(rows: Rows, policy: Policy, known: Baselines) -> Rows:
    """Return the numbers by band of the score, with `training` as the ratings have it."""
    total = sum(row["decisions"] for row in rows)
    ends = [[pd_at(row["score"] + more, policy) for more in (BAND, 0)] for row in rows]
    shares = [known.shares_between(pds) for pds in ends]
    return [
        row | ({"training": total * share[0]} if share else {})
        for row, share in zip(rows, shares, strict=True)
    ]


def pd_at(score: float, policy: Policy) -> float:
    """Return the PD whose credit score this is."""
    return 1 / (1 + policy.base_odds * 2 ** ((score - policy.base_score) / policy.pdo))
