"""The simulated loan book: `population` draws borrowers and loans from `random_columns`.

`credit_lines` draws the accounts, payments and enquiries behind the bureau's sums. Only
`stages.simulate` and tests import this package.
"""
