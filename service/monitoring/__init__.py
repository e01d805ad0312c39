"""Monitor the recorded decisions for drift, performance and fairness, and record outcomes.

The service starts `python -m service.monitoring --watch` as a separate process, so that reports do
not delay decisions. `service.api` imports `alerts`, `outcomes`, `reports` and `drift_rules` from
here; the dashboard imports `realised_performance`, `reports` and `drift_rules`.

- `monitor`: reports about every window that is due; `decision_windows` reads them
- `drift`, `drift_rules`: compare applications with the winner's training rows
- `performance`: the performance that PDs predict
- `outcomes`: records outcomes; `realised_performance`: the performance by recorded outcomes
- `sequential`: tests of calibration and approval that may be looked at as often as one likes
- `fairness`: approval rates by group of the protected attributes
- `reports`: stores reports and incidents in the ledger's database
- `alerts`: sends incidents to people; `retraining`: starts the retraining workflow on GitHub
- `__main__`: `python -m service.monitoring` reports once about every full window
"""
