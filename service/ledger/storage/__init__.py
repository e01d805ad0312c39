"""The tables of the ledger and the entries in them, on SQLite and PostgreSQL.

- `connections`, `database`: connections with a deadline for every call
- `database_file`: the file of a ledger in SQLite
- `entries`: drafts, chained entries, their canonical bytes and hashes
- `schema`: the tables of the chain; `personal_tables` are those of the personal parts beside it
- `commitments`: take the personal parts out of an entry, and commit to them
- `totals`: the totals of decisions for the dashboard, and which entries they count
- `officer_drafts`: the drafts of what officers record about decisions
- `decision_filters`: the conditions of lists of decisions
- `checkpoint`: the length and the last hash of the chain, in a file outside the database

This package imports nothing else of the ledger.
"""
