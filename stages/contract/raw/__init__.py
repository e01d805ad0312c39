"""Reads the raw files of a contract.

Only `preprocess`, `check` and `draft` import this package; judging reads the keys of loans by it.

- `files`: one file, a text, a workbook or Parquet, as a table
- `columns`: raw columns as text, keys, numbers and dates
- `table_columns`: the columns of a table that the contract needs
- `repeated_rows`: base rows that repeat another
- `tables`: the tables of a contract, joined to one row per loan
- `cleaning`: type, repair and validate the joined rows; `values` does so for one column
- `history`: the lines of a table with many rows per loan, those before each decision
- `outcomes`: which loans have an outcome, and which went bad
- `broken_rows`: the rows that break a rule; `quality` counts what was dropped and repaired
"""
