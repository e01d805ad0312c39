"""The simulated loan book: `population` draws borrowers and loans from `random_columns`.

Only `stages.simulate` and tests import it.
"""
