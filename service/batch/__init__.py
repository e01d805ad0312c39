"""Score files of applications: `python -m service.batch`.

- `chunks` reads files in chunks of rows
- `columns` reads whole columns, with the results and checks of single values, which
  `service.sources.values` reads
- `scoring` writes the decisions about a file, and its refused rows
"""
