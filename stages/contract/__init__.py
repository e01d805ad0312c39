"""The data contract of a loan book, and the rows that are read by it.

`schema`, `fields` and `parts` define a contract, `expressions` its formulas and rules, and
`reading` reads it from YAML; these and `prepared`, the rows of a split, are imported everywhere.
Raw files are read and joined by `tables`, typed and validated by `cleaning` (text, keys and dates
by `raw_columns`), and accounted for by `quality`; only `preprocess`, `check` and `draft` import
those. `command` is `python -m stages.contract check | draft`.
"""
