"""Explain a score, and advise the smallest changes of one or two fields that would be approved.

- `allowed_values` says which values of a field may be advised: multiples of the contract's `step`
- `breakpoints` finds where the answer can change as a field moves, from the model and the rules
- `terms` are what a threshold, a rule or the cut-off is compared with, as the field moves
- `approvals` tells which values are approved, for many lines of values at once
- `bounds` tells where no value of two fields can be approved
- `advised_changes` are decided by the engine and worded
- `search` goes through the breakpoints of every field and of every pair
- `explanation` splits the score of an application into its fields, and adds the advice
"""
