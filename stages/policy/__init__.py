"""The lender's policy, which turns a PD into a decision, a score and a rating.

- `decisions`: the policy of params.yaml, its cut-offs from expected profit, and its hard rules

`python -m stages.policy` replays the loan book under another policy, by `stages.replay`.
"""
