"""Get what an application does not state itself: the lines of histories, by the key of a request.

- `values` reads values of files and tables as the contract says
- `connections` opens the database of features, for reading alone
- `tables` reads the lines of a history, and refuses those that are too old
- `completion` puts the lines into applications, with a bound on what waits for the database
"""
