"""Choose the model that ships, and write it beside the one that was judged."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages import files
from stages.features.matrix import Floats, Outcomes
from stages.judging import blending, golden, monotone, proof
from stages.judging.evaluation import Judged
from stages.judging.refit import winner as refitting
from stages.judging.rows import Rows
from stages.models import artifact
from stages.models.artifact import Model
from stages.params import Params


@dataclass(frozen=True)
class Shipped:
    """The model that ships, and the rows that describe it.

    Attributes
    ----------
    x, bad : the features (n, F) and outcomes (n,) of the rows that it was fitted on.
    held_bad, held_pd : outcomes and PDs (m,) of rows that it was not fitted to.
    facts : what `models/evaluation.json` says of a refit; {} without one.
    """

    model: Model
    x: Floats
    bad: Outcomes
    held_bad: Outcomes
    held_pd: Floats
    facts: dict[str, Any]


def refit_winner(winner: Model, config: Params, test: Rows, judged: Judged) -> Shipped:
    """Return the winner fitted again; raises ParamsError unless it agrees with the judged one."""
    again, x = refitting.fit_again(winner, config), test.matrix(winner)
    agreement = refitting.check_agreement(again, x, judged.pd, config)
    numbers = test.table.column("_row").to_numpy()
    kept = monotone.check_directions(again.model, winner.features.encode(test.columns), numbers)
    facts = again.model.trained_on | {
        "agreement": agreement._asdict(),
        "mean_pd": float(again.model.predict_matrix(x).mean()),
        "monotone": {"fields": kept},
    }
    held = again.held
    return Shipped(
        again.model, again.x, again.bad, again.bad[held], again.pd[held], {"shipped": facts}
    )


def write_models(
    winner: Model, shipped: Model, test: Rows, judged: Judged, count: int, folder: Path
) -> None:
    """Write the winner as the pipeline keeps it, as it was judged, and as it ships.

    The last has `count` golden records. Unless it was fitted again, it is the same as the second.
    """
    name = winner.candidate
    if name == blending.NAME:
        artifact.save(winner, folder / "winner.joblib")
    else:
        with files.whole_file(folder / "winner.joblib") as path:
            shutil.copyfile(folder / "candidates" / f"{name}.joblib", path)
    same = shipped is winner
    said = judged.pd if same else shipped.predict_matrix(test.matrix(winner))
    records = golden.pick_records(shipped, test.columns, said, count, test.lines_of)
    proof.write_model_file(shipped, test.columns, said, records, folder / "winner.json")
    files.write_text(folder / "golden.jsonl", records)
    if same:
        with files.whole_file(folder / "judged.json") as path:
            shutil.copyfile(folder / "winner.json", path)
    else:
        proof.write_model_file(winner, test.columns, judged.pd, "", folder / "judged.json")
