"""Run functions on parts of the rows: in this process, or on the workers of a Dask cluster.

- `engine`: call a function for each part, in turn here or on the workers
- `scratch`: tables that one part leaves for the next step, in a folder or a bucket

The parts follow from the rows alone, and results are put together in the order of the parts.
So neither the engine nor the number of workers changes a byte. Nothing here imports from other
packages, and Dask itself is imported only where `compute: dask` asks for it.
"""
