"""The data contract of a loan book, and the rows that are read by that contract.

`schema` defines a contract, which consists of `tables`, `fields`, a `target`, and what is `derived`
from fields by `expressions`; `fields` also says how files write values. `reading` reads a contract
from YAML and refuses one that has `contradictions`. Every package may import these and `prepared`,
which reads the rows of a split. `raw` reads the raw files, joins,
types and validates them; only `preprocess`, `check` and `draft` import it. `command` is
`python -m stages.contract check | draft | feast`, and `feast_definitions` writes for the last.
"""
