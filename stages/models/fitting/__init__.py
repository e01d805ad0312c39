"""Fit a candidate: find its file, give it rows, judge it on folds, calibrate it.

`registry` finds a candidate by its name. `parameters` and `task` are what the candidates' files
build on, `xgboost_trees` what two of them share. `job` fits and calibrates a candidate on
`training_rows` cut into `folds`, after `resampling` where that is asked for.

Serving needs nothing of this but the checks of `parameters`, by which params.yaml is read.
"""
