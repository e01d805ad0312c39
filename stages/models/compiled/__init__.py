"""Trees compiled for one row or a few.

`forest` reads the trees of a booster into one form; `trees` scores and explains rows with it.
What is outside imports `trees`.
"""
