"""Hold a change against the best model since the last reset: small losses must not add up.

The record is the history of the base. A release follows every merge, so all that was promoted is on
its first-parent line, and a change can neither add to that line nor take from it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from release import dvc_state, revisions
from release.gate import comparison, predictions, recalculation
from release.gate.checks import Finding
from release.gate.comparison import PairedRows
from release.gate.judgement import Judgement
from release.gate.limits import HIGHER, Limits
from release.gate.predictions import Predictions
from release.gate.red_flags import declarations
from release.revisions import CannotJudge
from stages.judging import evaluation
from stages.judging.evaluation import Judged
from stages.policy.decisions import Policy

CHECK = "ratchet"


class Former(NamedTuple):
    """A model that the base's history held, on the rows that it shares with the challenger."""

    commit: str
    cut_off: float
    rows: PairedRows | None  # None where its predictions cannot be read
    losses: dict[str, float]  # what the challenger loses against it, by figure


def check_ratchet(
    judgement: Judgement, held: dvc_state.Storage, limits: Limits
) -> Iterator[Finding]:
    """Fail where a figure lost more than the cumulative tolerance against the best model ever."""
    since = limits.ratchet.since
    if since > dt.datetime.now(dt.UTC).date():
        raise CannotJudge(
            f"ratchet.resets: the day {since} is in the future; "
            "a reset must be dated today or earlier"
        )
    if not limits.ratchet.max_loss or judgement.base is None or not judgement.params:
        yield Finding(CHECK, "note", "the base's policy has no cumulative tolerance")
        return
    if judgement.predictions is None:
        return
    formers = [*models(judgement, held, limits)]
    if not formers:
        yield Finding(CHECK, "note", f"no model since {since} shares enough rows with this one")
    for name, allowed in limits.ratchet.max_loss.items() if formers else ():
        best = max(formers, key=lambda former: former.losses[name])
        yield verdict(name, allowed, best, judgement.params.policy, len(formers))


def verdict(name: str, allowed: float, best: Former, policy: Policy, count: int) -> Finding:
    """Judge one figure against the model that was best at it."""
    loss = best.losses[name]
    words = f"{name} lost {loss:.4f} against the best of {count} models, that of "
    words += f"{best.commit[:10]}; {allowed:g} is allowed since the last reset"
    if loss <= allowed:
        return Finding(CHECK, "pass", words, name)
    if (rows := best.rows) is None:
        words += f"; its predictions cannot be read: `dvc fetch --all-commits {predictions.PATH}`"
        return Finding(CHECK, "cannot judge", words, name)
    old = comparison.draw(rows.champion, best.cut_off, policy)
    new = comparison.draw(rows.challenger, policy.pd_cut_off, policy)
    paired = comparison.compare(old, new, comparison.delong(rows))[name]
    least, most = paired.losses(higher=name in HIGHER)
    words += f" (95 % interval {least:.4f} to {most:.4f})"
    return Finding(CHECK, "fail" if least > 0 else "pass", words, name)


def models(judgement: Judgement, held: dvc_state.Storage, limits: Limits) -> Iterator[Former]:
    """Yield every model of the base's history that can be compared with the challenger."""
    seen: set[str] = set()
    for commit in revisions.history(str(judgement.base), recalculation.PATH, limits.ratchet.since):
        figures = recalculation.published_at(commit)
        lock = revisions.content(commit, "dvc.lock") or ""
        version = dvc_state.locked_outputs(lock).get(predictions.PATH) if lock else None
        if figures is None or version is None or version[0] in seen:
            continue
        seen.add(version[0])
        if judgement.params is None or judgement.predictions is None:
            continue
        same_name = figures.get("dataset") == judgement.params.dataset
        try:
            name = f"{predictions.PATH} of {commit[:10]}"
            table = Predictions.read(held.read(version[0], name), name)
        except CannotJudge:
            if same_name:
                yield Former(commit, 0.0, None, published_losses(judgement, figures, limits))
            continue
        share = limits.min_common_rows
        if not same_name and not comparison.is_same_book(table, judgement.predictions, share):
            continue
        if former := compare(judgement, commit, figures, table, limits):
            yield former


def compare(
    judgement: Judgement, commit: str, figures: dict[str, Any], table: Predictions, limits: Limits
) -> Former | None:
    """Return a former model on the rows that it shares with the challenger, None for too few."""
    if judgement.params is None or judgement.predictions is None:
        return None
    same = declarations.same_fields(judgement, commit)
    rows = comparison.pair(table, judgement.predictions, same_fields=same)
    if rows.share < limits.min_common_rows or len(set(rows.challenger.bad.tolist())) < 2:
        return None
    policy, cut_off = judgement.params.policy, recalculation.cut_off(figures)
    old = point_figures(rows.champion, cut_off, policy)
    new = point_figures(rows.challenger, policy.pd_cut_off, policy)
    return Former(commit, cut_off, rows, losses_of(old, new, limits))


def published_losses(
    judgement: Judgement, figures: dict[str, Any], limits: Limits
) -> dict[str, float]:
    """Return what the challenger loses by the figures that both published, on rows of their own."""
    old, new = (
        {name: figure.get("value") for name, figure in side["test"].items()}
        for side in (figures, judgement.metrics or {"test": {}})
    )
    names = limits.ratchet.max_loss
    both = [{n: side.get(n) or math.nan for n in names} for side in (old, new)]
    return losses_of(both[0], both[1], limits)


def losses_of(old: dict[str, float], new: dict[str, float], limits: Limits) -> dict[str, float]:
    """Return by how much each figure of the ratchet is worse; a figure that is unknown loses 0."""
    losses = {n: (old[n] - new[n]) * (1 if n in HIGHER else -1) for n in limits.ratchet.max_loss}
    return {name: loss if math.isfinite(loss) else 0.0 for name, loss in losses.items()}


def point_figures(rows: Judged, cut_off: float, policy: Policy) -> dict[str, float]:
    """Return every figure of a side's decisions on the rows, valued by one policy."""
    return evaluation.summary(rows, policy.model_copy(update={"cut_off": cut_off}))
