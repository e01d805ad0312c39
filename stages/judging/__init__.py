"""Measure models by their PDs, compare them, and decide about loans by the policy.

- `metrics`: the figures of PDs, such as ROC-AUC, KS and Brier score; `weighted_metrics` computes
  them for many resamples at once, on the `ranked_rows` that both share
- `calibration_error`, `recalibration`: how far PDs are from the bad rates, and what would mend them
- `intervals`, `delong`: 95 % intervals of figures, and the test of two AUCs on the same rows
- `policy`: cut-offs, hard rules, score and rating: from a PD to a decision
- `evaluation`: which candidate wins, and what `models/evaluation.json` says of it
- `points`: the points table of a scorecard; `monotone`: the price of the directions of risk
- `reference`: what monitoring compares live applications with
- `curves`, `plots`: the data of the plots in `models/plots`

`stages.evaluate`, the gate and the service's monitoring import from here. `policy` alone is needed
to decide about an application. This package imports from `stages.contract`, `stages.features` and
`stages.models`.
"""
