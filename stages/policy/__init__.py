"""The lender's policy, which turns a PD into a decision, a score and a rating.

- `decisions`: the policy of params.yaml, and its cut-offs from expected profit
- `rules`: its hard rules, and the limit above which a second officer decides

`python -m stages.policy` replays the loan book under another policy, by `stages.replay`.
"""
