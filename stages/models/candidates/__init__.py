"""The candidates, one file each; the first line of a file says what it fits.

Nothing imports or names a candidate: `stages.models.registry` finds its file by its name in
params.yaml.

To add the candidate `mine`, write `mine.py` here, add a section `train.mine` to params.yaml, and
list `mine` under `candidates:`. The file defines

- `Parameters`, a subclass of `CandidateParameters` that checks the section `train.mine`;
- `fit(task, x, bad)`, which fits on the features x (n, k) and the outcomes bad (n,), 1 for a bad
  loan, and returns a scorer of `stages.models.scorers`, since the model file holds no other;
- `SEARCH`, the range of each parameter that `stages.tune` may try;
- where a search should begin, `STARTS`: values of all that is searched but `trees`;
- where trees can stop growing early, `fit_until(task, x, bad, held)`, which grows as many as help
  on other rows and returns the scorer and their number: then `trees` is found and not searched;
- and, where its margins are not log-odds, `calibrate_by_default(bad)`, which returns the map from
  margins to PDs under `calibration: none`.

A candidate may import what the candidates share (`parameters`, `task`, `scorers`, `calibration`,
`fitting.xgboost_trees` and `fitting.lightgbm_trees` of `stages.models`), but
never another candidate: DVC trains a candidate again when its file changes, or one that they share.
"""
