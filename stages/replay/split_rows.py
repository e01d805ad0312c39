"""Score the rows of one split of the loan book, by the winner or by another candidate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
from numpy.typing import NDArray

from stages.contract.schema import Contract
from stages.judging.evaluation import columns_by_name
from stages.judging.rows import Rows
from stages.models import artifact, model_file
from stages.models.artifact import Model
from stages.params import Params
from stages.policy.decisions import DECISIONS
from stages.replay.policy_file import ReplayError
from stages.replay.scored_rows import ScoredRows

MODELS = Path("models")


def load_model(config: Params, candidate: str | None = None) -> Model:
    """Return the winner as it was judged, or the candidate of a name; ReplayError for another.

    A winner that was fitted again to ship has seen the rows of a replay.
    """
    if candidate is None:
        return model_file.read(MODELS / "judged.json")
    if candidate not in config.candidates:
        listed = ", ".join(config.candidates)
        raise ReplayError(f"--model must be one of {listed}, as params.yaml lists; got {candidate}")
    return artifact.load(MODELS / "candidates" / f"{candidate}.joblib")


def score(rows: Rows, model: Model) -> ScoredRows:
    """Return the rows with the PDs of a model, by the model's own path from raw columns."""
    x = model.features(rows.columns)
    pd = model.predict_matrix(x)
    return ScoredRows(
        pd=pd,
        bad=rows.bad.astype(np.float64),
        features=columns_by_name(model.features, x),
        exposure=rows.exposure,
        cluster=rows.cluster(pd),
        groups=rows.groups(),
    )


def score_out_of_sample(config: Params, contract: Contract, model: Model) -> ScoredRows:
    """Return the training and validation rows with PDs of models that learned from none of them.

    Those of training rows are out of fold, so that a choice among cut-offs is not made on rows that
    the PDs were fitted to. A training row that no fold judged is left out.
    """
    recorded = pandas.read_parquet(MODELS / "predictions.parquet")
    name, parts = f"pd_{model.candidate}", []
    for split in ("train", "validation"):
        rows, some = Rows(config, contract, split), recorded[recorded["split"] == split]
        index = pandas.Index(rows.table.column("_row").to_numpy())
        place = index.get_indexer(pandas.Index(some["row"]))
        scored = score(rows, model)
        probability = some[name].to_numpy() if split == "train" else scored.pd[place]
        parts.append(replace(scored.taking(place), pd=probability, cluster=None))
    return ScoredRows.concatenate(parts)


def count_differences(rows: Rows, decision: NDArray[np.int64]) -> int:
    """Return how many decisions (n,) differ from those in `models/predictions.parquet`."""
    names = ["row", "split", "decision"]
    recorded = pandas.read_parquet(MODELS / "predictions.parquet", columns=names)
    of_split = recorded[recorded["split"] == rows.name].set_index("row")["decision"]
    here = np.array(DECISIONS)[decision]
    return int((of_split.reindex(rows.table.column("_row").to_numpy()).to_numpy() != here).sum())
