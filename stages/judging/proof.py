"""Write the file that ships, and prove that it scores as the winner does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from stages import files
from stages.features.encoding import Columns
from stages.features.matrix import Floats
from stages.models import model_file
from stages.models.artifact import Model

ALONE = 10_000  # the most test rows that are scored one by one, as the service does


class ScoresDiffer(Exception):
    """The file that would ship scores otherwise than the model that was judged."""


def write_model_file(winner: Model, columns: Columns, pd: Floats, golden: str, path: Path) -> None:
    """Write the winner's model file, once it gives every test row its PD (n,) to the last bit.

    `columns` are the raw columns of the test rows, which are scored together and, up to about ALONE
    of them, one by one too. `golden` are the golden records as JSON lines. Raises ScoresDiffer, and
    leaves an earlier file as it is.
    """
    content = model_file.text(winner)
    shipped = model_file.parse(content.encode(), str(path))
    records = [json.loads(line) for line in golden.splitlines()]
    recorded = np.array([record["default_probability"] for record in records])
    answered = np.array([shipped.predict_one(record["application"]) for record in records])
    x, every = shipped.features(columns), -(-len(pd) // ALONE)
    scored = {
        "test rows together": (shipped.predict_matrix(x), pd),
        "test rows one by one": (one_by_one(shipped, x[::every]), pd[::every]),
        "golden records": (answered, recorded),
    }
    for rows, (ours, theirs) in scored.items():
        if wrong := int((ours != theirs).sum()):
            raise ScoresDiffer(
                f"{path} would score {wrong:,} of {len(theirs):,} {rows} otherwise than "
                f"{winner.candidate} does; it is not written"
            )
    files.write_text(path, content)


def one_by_one(model: Model, x: Floats) -> Floats:
    """Return the PD (n,) of features (n, F), each row scored alone."""
    return np.array([model.predict_matrix(row[None])[0] for row in x])
