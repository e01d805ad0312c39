"""Compare what the predictions say of each row, but its PD, with what the prepared rows say of it.

These are outcome and date, fields, protected groups, customer and money. Only where the code of
this gate does not give them, and the change has code of its own, a person answers for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pandas as pd

from release import revisions
from release.gate.checks import Finding
from release.gate.judgement import Judgement, RedFlag
from release.gate.parameters import JudgedParameters
from release.gate.predictions import Predictions
from release.gate.reproduction.rescoring import CODE, SPLITS
from release.revisions import CannotJudge
from stages.contract import reading as contracts
from stages.judging.evaluation import Judged
from stages.judging.predictions import make_predictions, read_keys
from stages.judging.rows import Rows
from stages.params import Params

CHECK = "rescoring"


def compare(judgement: Judgement, table: Predictions) -> Iterator[Finding]:
    """Compare what the predictions say of each row with what the prepared rows say of it."""
    changed = revisions.list_changed(judgement.base, *CODE) if judgement.base else []
    config = judgement.params
    if config is None or not (config.data / "prepared").is_dir():
        return
    wrong = wrong_columns(table, config)
    words = f"the predictions say otherwise than the prepared rows: {', '.join(wrong)}"
    if wrong and changed:
        words = f"{words}, by the change's own code alone: {len(changed)} files of it changed"
        judgement.red_flags.append(RedFlag("code.rows", words))
    elif wrong:
        yield Finding(CHECK, "fail", f"{words}; run `dvc repro --force` and commit")


def wrong_columns(table: Predictions, config: JudgedParameters) -> list[str]:
    """Return the columns of the predictions that the prepared rows do not give, by their part."""
    if not (raw := config.data / "raw").is_dir():
        raise CannotJudge(f"{raw} is missing: run `dvc pull`")
    contract = contracts.load(config.dataset)
    # Of the parameters, rows need what both classes have.
    parts = {n: Rows(cast(Params, config), contract, n) for n in ("train", *SPLITS)}
    wrong, keys = [], read_keys(contract, raw)
    for name, rows in parts.items():
        held = table.split(name)
        numbers = pd.Index(rows.table.column("_row").to_numpy())
        places = numbers.get_indexer(pd.Index(held["row"]))
        if (places < 0).any():
            wrong.append(f"row of {name}")
            continue
        judged = Judged(rows.bad, np.zeros(len(rows.bad)), 0 * rows.bad, rows.exposure)
        made = make_predictions(rows, judged, keys).drop(columns=["pd", "decision"])
        if name == "test":
            made = made.assign(new_customer=rows.has_customer_outside(parts["train"]))
        made = made.iloc[places].reset_index(drop=True)
        wrong += [f"{c} of {name}" for c in made if not is_same(made[c], held.get(c))]
        if name != "train" and len(held) == len(numbers):
            cluster = rows.cluster(held["pd"].to_numpy())
            if not is_same(None if cluster is None else pd.Series(cluster), held.get("cluster")):
                wrong.append(f"cluster of {name}")
    return wrong


def is_same(made: pd.Series | None, held: pd.Series | None) -> bool:
    """Return whether two columns agree; one that is not there is empty."""
    if made is None or held is None:
        return all(each is None or bool(each.isna().all()) for each in (made, held))
    one, other = made.reset_index(drop=True), held.reset_index(drop=True)
    return len(one) == len(other) and bool(((one == other) | (one.isna() & other.isna())).all())
