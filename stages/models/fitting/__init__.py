"""Fit a candidate: find its file, read its rows, judge it on folds, and calibrate it.

- `registry` finds a candidate by its name
- `parameters` and `task` are what the files of all candidates build on
- `xgboost_trees` grows the trees of the two candidates that use XGBoost
- `training_rows` reads the rows of a split, and `folds` cuts them
- `resampling` balances them where a candidate asks for it
- `job` fits, judges and calibrates one candidate

Serving imports it only to check params.yaml.
"""
