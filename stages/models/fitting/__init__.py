"""Fit a candidate: read its rows, judge it on folds, and calibrate it.

- `xgboost_trees` and `lightgbm_trees` grow the trees of the candidates that use these libraries
- `found_parameters` reads what the stage `search` found for a candidate
- `training_rows` reads the rows of a split, and `folds` cuts them
- `resampling` balances them where a candidate asks for it
- `job` fits, judges and calibrates one candidate, and `origins` backtests it

It may import `stages.params`. Serving imports nothing from here.
"""
