"""Print the winner's metrics as a table, and what to do next: `python -m stages.summary`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from stages import errors, project
from stages.judging.evaluation import HIGHER_IS_BETTER

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
  make serve                                     decisions over HTTP, and a page, on port 3000
  make demo                                      the service, a dashboard and traffic that drifts
  make plots                                     curves, calibration, importance in build/plots
{activation}  dvc exp run -S policy.loss_given_default=0.6   another policy; trains nothing
  dvc exp run -S train.lightgbm.num_leaves=15    another parameter
  make experiments                               what the experiments changed, and what came of it
  python -m stages.tune lightgbm --trials 20     a search of parameters with Optuna
  python -m stages.contract draft --help         a contract for a loan book of your own
`make help` lists the other commands.
"""
ACTIVATION = "  . .venv/bin/activate                           first, for the commands below\n"
EVALUATION = Path("models/evaluation.json")


def table(metrics: dict[str, Any]) -> str:
    """Return the metrics of `models/evaluation.json` as a table for people."""
    chosen_by = metrics["chosen_by"]
    candidates = sorted(
        metrics["choice"].items(),
        key=lambda item: item[1]["value"],
        reverse=HIGHER_IS_BETTER[chosen_by],
    )
    lines = [
        f"{metrics['dataset']}, {metrics['mode']} mode: {metrics['winner']} wins by "
        f"{chosen_by} over the folds of the training and validation rows",
        "  " + " · ".join(f"{name} {figure['value']:.4f}" for name, figure in candidates),
        "",
        f"{'The winner on test':32}{'value':>9}   95 % interval",
    ]
    for name, title in TITLES.items():
        metric = metrics["test"][name]
        value, low, high = (metric[k] for k in ("value", "low", "high"))
        lines.append(f"{title:32}{number(value):>9}   {number(low)} to {number(high)}")
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Return a number with four decimals, or a dash where it is undefined."""
    return "-" if value is None else f"{value:.4f}"


def main() -> None:
    """Print the table and what to try next."""
    try:
        evaluation = json.loads(EVALUATION.read_text())
    except FileNotFoundError:
        sys.exit(f"{EVALUATION} not found: go to the project's folder, or make it with `dvc repro`")
    except json.JSONDecodeError as error:
        sys.exit(f"{EVALUATION} is no JSON ({error}): make it anew by dvc repro --force evaluate")
    print(table(evaluation))
    print(NEXT.format(activation="" if "VIRTUAL_ENV" in os.environ else ACTIVATION))


if __name__ == "__main__":
    project.enter()
    with errors.one_message():
        main()
