"""Trees compiled for scoring and explaining without the library that grew them.

- `libraries` reads the trees of a booster into one form; this alone needs the boosters' libraries
- `forest` is that form: nodes, leaves and bins
- `trees` scores and explains rows with it, by the tables of `margins` and of `shapley`

What is outside imports `trees`, `forest` and `libraries`.
"""
