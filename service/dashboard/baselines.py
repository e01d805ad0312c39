"""What the winner's training and test rows say, to stand beside every live figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

REFERENCE = Path("models/reference.json")
EVALUATION = Path("models/evaluation.json")
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
