"""Watch the decisions: drift, performance, fairness and outcomes, beside the service.

The service starts `python -m service.monitoring --watch` as a process of its own, so that no
report costs a decision its time. `service.api` imports `alerts`, `outcomes`, `reports` and
`drift_rules` from here, the dashboard `outcomes`, `reports` and `drift_rules`.

- `monitor`: judges the windows that are due; `windows` reads them from the ledger
- `drift`, `drift_rules`: applications held against the winner's training rows
- `performance`: what the PDs alone promise; `outcomes`: what became of the loans
- `fairness`: approval by group of the protected attributes
- `reports`: stores reports and incidents in the ledger's database
- `alerts` tells people, `retraining` asks GitHub for a challenger
- `__main__`: `python -m service.monitoring` judges every full window once
"""
