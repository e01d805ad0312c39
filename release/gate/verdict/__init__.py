"""Judge a change by all checks of the gate.

- `judging`: the checks in their order
- `ratchet`: the challenger against the best model since the last reset
"""
