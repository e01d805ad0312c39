"""The data contract of a loan book, and the rows that are read by that contract.

`schema`, `fields` and `parts` define a contract, `expressions` its formulas and rules, and
`reading` reads it from YAML; every package may import these and `prepared`, which reads the rows
of a split. `raw` reads the raw files, joins, types and validates them, and `quality` counts what
was dropped and repaired; only `preprocess`, `check` and `draft` import those. `command` is
`python -m stages.contract check | draft`.
"""
