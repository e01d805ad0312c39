"""Judge a change by all checks of the gate.

- `judging`: the checks in their order
- `published`: the published figures against what the predictions give
- `ratchet`: the challenger against the best model since the last reset
"""
