"""Candidates: what they are made of, how they are fitted, and how a fitted one is used.

`load` reads a fitted candidate as a `classifier`. `candidates/` holds one file per candidate, and
`fitting/` all that fits one. `scorers` are the fitted models, `compiled/` their compiled
form, `contributions` their explanation by raw field, `calibration` the way from margins to PDs, and
`artifact` the file that holds a scorer with its calibration and its contract.

Imports from `stages.contract`, `stages.features` and `stages.params`, and never the stages.
"""

import os

# An idle OpenMP thread spins, which beside another busy process slows a booster many times over.
# The libraries read these when they are loaded, so they are set before any booster is.
for name, value in (
    ("OMP_WAIT_POLICY", "passive"),
    ("GOMP_SPINCOUNT", "0"),
    ("KMP_BLOCKTIME", "0"),
):
    os.environ.setdefault(name, value)

from stages.models.classifier import Classifier, load  # noqa: E402  (after the environment is set)

__all__ = ["Classifier", "load"]
