"""Find figures that are too good to be true."""

from __future__ import annotations

from collections.abc import Iterator

from release.gate.comparison import Difference
from release.gate.judgement import Judgement, RedFlag
from release.gate.limits import HIGHER, Suspicious
from release.gate.predictions import Predictions, judge_rows
from stages.metrics import metrics


def find_red_flags(judgement: Judgement, limits: Suspicious) -> Iterator[RedFlag]:
    """Yield implausible gains on the champion, and test rows that seem to have been trained on."""
    yield from large_gains(judgement.differences, limits)
    if judgement.predictions and judgement.metrics:
        winner = str(judgement.metrics.get("winner"))
        yield from optimism(judgement.predictions, winner, limits)


def large_gains(differences: dict[str, Difference], limits: Suspicious) -> Iterator[RedFlag]:
    """Yield each figure that gained more than a change of this book plausibly brings."""
    for name, plausible in limits.max_gain.items():
        if name not in differences:
            continue
        difference = differences[name]
        gain = difference.difference if name in HIGHER else -difference.difference
        if gain > plausible:
            words = (
                f"{name} {difference.champion:.4f} → {difference.challenger:.4f} gains more than "
            )
            words += f"the {plausible:g} that is plausible for this book"
            yield RedFlag(f"gain.{name}", words)


def optimism(table: Predictions, winner: str, limits: Suspicious) -> Iterator[RedFlag]:
    """Yield a winner that ranks the test rows better than rows that its training left out."""
    held_out = table.table
    column = f"pd_{winner}"
    if "fold" not in held_out or column not in held_out:
        return
    held_out = held_out[held_out["fold"].notna() & held_out[column].notna()]
    rows = judge_rows(table.split("test"))
    if held_out["bad"].nunique() < 2 or len(set(rows.bad.tolist())) < 2:
        return
    folds = metrics.summary(held_out["bad"].to_numpy(), held_out[column].to_numpy(), 1.0)
    tested = metrics.summary(rows.bad, rows.pd, 1.0)
    gap = tested["roc_auc"] - folds["roc_auc"]
    if gap > limits.max_optimism:
        words = f"the AUC is {tested['roc_auc']:.4f} on test rows and {folds['roc_auc']:.4f} in "
        words += f"cross-validation; {limits.max_optimism:g} more may mean that the winner was "
        yield RedFlag("optimism", f"{words}trained on test rows")
