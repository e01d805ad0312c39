"""The trees of boosters, compiled to score and explain rows without their library.

- `forest` is the one form of all trees: nodes, leaves and bins; `tree_compiler`, beside this
  package, reads those of a library into it
- `trees` scores and explains rows with it, by the tables of `margins` and of `shapley`, and scores
  many values of a few features at once by those of `lines`

Other packages import only `trees` and `forest`.
"""
