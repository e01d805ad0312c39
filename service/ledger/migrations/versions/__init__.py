"""Alembic's migrations, oldest first; a released one is never edited.

- `r0005_baseline`: the tables of version 5, when Alembic took over
"""
