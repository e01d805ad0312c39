"""Replay applications under another policy or model: what would have been decided, and earned.

- `scored_rows`: the applications, with PDs and what is known of their outcomes
- `split_rows`: those of a split of the loan book; the service reads those of its ledger
- `policy_file`: reads the policy to replay
- `figures`: what decisions amount to, with intervals; `capital`: what capital they need
- `comparison`: two policies on the same applications, with the swap set and groups
- `frontier`: all cut-offs, and the best of them under limits; `chart`: their plot
- `doubt`: how far a bad rate among the approved can be promised; all others are referred
- `stress`: the same applications in scenarios from a file
- `table`: the comparison as text

`python -m stages.policy` and `python -m service.replay --policy` print what this package computes.
"""
