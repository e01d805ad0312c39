"""Score files of applications: `python -m service.batch`.

- `chunks` reads files in chunks of rows
- `values` reads one value of a file as the contract says
- `columns` reads whole columns, with the results and checks of single values
- `scoring` writes the decisions about a file, and its refused rows
"""
