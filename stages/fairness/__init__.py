"""Search for models that treat groups more alike at about the same quality.

- `measures`: approvals, calibration and errors by group and intersection, with intervals
- `trials`: fits one model, with features left out, and measures it on the validation rows
- `search`: the seeded search, its log, and what it prefers within tolerances

`python -m stages.fairness` runs it. Protected fields are never features here either: the search
sees them only in the measures, as an audit does. Groups that nobody stated are not guessed from
names or addresses (BISG).
"""
