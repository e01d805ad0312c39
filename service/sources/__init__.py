"""Get what an application does not state itself: the lines of histories, by the key of a request.

- `values` reads values of files and tables as the contract says
- `fetched` defines what sources answer, and refuses what is too old
- `tables` reads lines from tables of a database, which `connections` opens for reading alone
- `feast` reads lines from a feature server of Feast
- `completion` puts the lines into applications, with a bound on what waits for the sources
"""
