"""Hold the published figures against what this gate computes from the predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from release import dvc_state, revisions
from release.gate import recalculation
from release.gate.checks import Finding
from release.gate.judgement import Judgement, RedFlag
from release.gate.parameters import JudgedParameters
from release.gate.predictions import Predictions
from release.gate.provenance import first_few


def check_figures(
    judgement: Judgement, table: Predictions, config: JudgedParameters, stated: dict[str, Any]
) -> Iterator[Finding]:
    """Compare the figures of evaluation.json and metrics.json, and the decisions behind them.

    Code of a change may compute another figure, or one more: a person answers for it, and the
    judgement goes by the figures of this gate.
    """
    misdecided = recalculation.count_misdecided(table, config)
    wrong = recalculation.differences(stated, recalculation.recount(table, config))
    headlines = dvc_state.read_text(Path(recalculation.HEADLINES))
    wrong |= recalculation.wrong_headlines(headlines, stated)
    changed = revisions.list_changed(judgement.base, "stages") if judgement.base else []
    by_code = [*filter(recalculation.follows_from_code, wrong)] if changed else []
    if by_code:
        words = first_few([wrong.pop(name) for name in by_code])
        words = f"the code of the change states other figures than this gate computes: {words}"
        judgement.red_flags.append(RedFlag("figures", words))
    faults = [*wrong.values()]
    if misdecided:
        faults.insert(0, f"{misdecided:,} decisions differ from the policy in params.yaml")
    if faults:
        words = f"{recalculation.PATH} is not what the predictions give: {first_few(faults)}"
        yield Finding("metrics", "fail", words)
    elif by_code:
        words = "the figures that follow from the predictions differ only by the code of the change"
        yield Finding("metrics", "note", words)
    else:
        yield Finding("metrics", "pass", "every figure follows from the predictions")
