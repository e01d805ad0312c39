"""The data contract of a loan book, and the rows that are read by that contract.

`schema`, `fields` and `parts` define a contract, `expressions` its formulas and rules, and
`reading` reads it from YAML; every package may import these and `prepared`, which reads the rows
of a split. `tables` reads raw files and joins them, `cleaning` types and validates their rows (with
`raw_columns` for text, keys and dates), and `quality` counts what was dropped and repaired; only
`preprocess`, `check` and `draft` import those. `command` is
`python -m stages.contract check | draft`.
"""
