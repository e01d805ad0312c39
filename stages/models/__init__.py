"""The candidates, how they are fitted, and how a fitted one scores and explains rows.

- `classifier`: a fitted candidate as data scientists use one; `load(path)` returns it
- `artifact`: a scorer with its calibration and its contract, and its joblib file in the pipeline
- `model_file`: the file that ships, which cannot execute; `document` is its format, and
  `written_model` makes one of a fitted model
- `scorers`: the fitted models, which give a row its margin and explain it
- `tree_compiler`: reads the trees of boosters into a form that is quick and needs no library, which
  `compiled` holds
- `calibration`: the maps from margins to PDs
- `breakpoints`: where a margin can change as some features move
- `candidates`: one file per candidate; `registry` finds a candidate by its name
- `parameters` and `task`: what the files of all candidates build on
- `fitting`: the code that fits a candidate

The service imports `artifact`, `model_file` and `breakpoints`, `stages.params` imports `registry`
and `parameters`, the stages import from here and from `fitting`, and notebooks use `load`. This
package imports from `stages.contract` and `stages.features`, and never a stage.
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
