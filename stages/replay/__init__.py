"""Replay applications under another policy or model: what would have been decided, and earned.

- `scored_rows`: the applications, with PDs and what is known of their outcomes
- `split_rows`: those of a split of the loan book; the service reads those of its ledger
- `policy_file`: reads the policy to replay
- `policy_figures`: what decisions amount to, with intervals; `capital`: what capital they need
- `comparison`: two policies on the same applications, with the swap set and groups
- `cut_offs`: chosen under limits, or as far as a bad rate can be promised
- `stress`: the same applications in scenarios from a file
- `losses`: loss given default and exposure at default by segment
- `rejects`: what methods of reject inference say of those who were not approved
- `table`: the comparison as text; `results`: every result as text

`python -m stages.policy` and `python -m service.replay --policy` print what this package computes.
"""
