"""Figures of probabilities of default against outcomes, and their intervals, on NumPy arrays alone.

- `metrics`: the figures of a model and a policy on rows, and their names.
- `clusters`: rows that go good or bad together, which the bootstrap draws as one.
- `ranked_rows`: rows ranked by PD, once for all figures; `weighted_metrics` counts them under many
  weightings at once.
- `intervals`: the bootstrap and its 95 % intervals, alone and of paired differences;
  `rate_intervals` and `ks_interval`: those that resampling gets wrong; `ratio_intervals`: those of
  sums over sums without resampling; `delong` compares two AUCs.
- `calibration_error`: the debiased calibration error and its interval; `recalibration`: the slope
  and intercept of a recalibration.
- `curves`: the data of curves to draw.

Nothing here knows a contract, a model or a parameter; every other room may import it.
"""
