"""Print the winner's metrics as a table: `python -m stages.show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TITLES = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "gini": "Gini",
    "ks": "KS",
    "brier": "Brier",
    "log_loss": "Log-loss",
    "ece": "Calibration error",
    "calibration_slope": "Calibration slope",
    "mean_pd": "Mean PD",
    "bad_rate": "Bad rate",
    "approval_rate": "Approval rate",
    "approved_bad_rate": "Bad rate among approved",
    "profit": "Profit per unit asked for",
}
NEXT = """
What to try next
  dvc exp run -S train.lightgbm.num_leaves=63    another parameter; then: dvc exp show
  dvc exp run -S policy.loss_given_default=0.6   another policy; trains nothing
  python -m stages.tune lightgbm --trials 20     let Optuna search
  dvc plots show                                 curves, calibration, importance
  make serve                                     decisions over HTTP, and a page, on port 3000
"""


def table(metrics: dict[str, Any]) -> str:
    """The metrics of `models/evaluation.json` in words and columns."""
    candidates = sorted(metrics["validation"].items(), key=lambda item: -item[1]["roc_auc"])
    lines = [
        f"{metrics['dataset']}, {metrics['mode']} mode: {metrics['winner']} wins on validation by "
        f"{metrics['chosen_by']}",
        "  " + " · ".join(f"{name} {own['roc_auc']:.4f}" for name, own in candidates),
        "",
        f"{'The winner on test':32}{'value':>9}   95 % interval",
    ]
    for name, title in TITLES.items():
        own = metrics["test"][name]
        value, low, high = (own[k] for k in ("value", "low", "high"))
        lines.append(f"{title:32}{number(value):>9}   {number(low)} to {number(high)}")
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Four digits, or a dash where a figure is undefined."""
    return "-" if value is None else f"{value:.4f}"


def main() -> None:
    """Print the table and what to try next."""
    print(table(json.loads(Path("models/evaluation.json").read_text())))
    print(NEXT)


if __name__ == "__main__":
    main()
