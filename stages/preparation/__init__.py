"""Prepare a book by parts of its rows, so that it need not fit into the memory of a process.

Each step is a function of a part, which `stages.compute` calls here or on the workers of a cluster.
What concerns all rows is added up from the parts: counts, the hashes of keys, codes, days.

- `book`: the raw tables, read once and cut into parts
- `lookup`: the rows of another file that have the keys of a part
- `loans`: repeated rows, joins, types and rules; copies of applications
- `histories`: the lines of histories, and the aggregates of them
- `splits`: the files of training, validation and test
"""
