"""Alembic's migrations, oldest first; a released one is never edited.

- `r0005_baseline`: the tables of version 5, when Alembic took over
- `r0006_claims`: the claims of requests that are recorded once
- `r0007_cases`: an index of decisions by the reference of their case
- `r0008_open_referrals`: the queue of referred cases that nobody has decided
- `r0009_personal`: the personal parts of entries, which can be erased
- `r0010_shadow`: a challenger scores each decision once
- `r0011_totals`: the totals of decisions by day, hour and minute
- `r0012_counted`: the number of entries that the totals count
"""
