"""The trees of boosters, compiled to score and explain rows without their library.

- `libraries` reads the trees of a booster into one form; this alone needs the boosters' libraries
- `forest` is that form: nodes, leaves and bins
- `trees` scores and explains rows with it, by the tables of `margins` and of `shapley`, and scores
  many values of a few features at once by those of `lines`

Other packages import `trees`, `forest` and `libraries` alone.
"""
