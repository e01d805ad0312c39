"""Decide about applications. Nothing here imports the web or the ledger.

- `applications` checks what comes against the contract by `field_types` and `json_bodies`, and
  lines of a `history` by the same types; `problems` words what is wrong with it
- `hashes` holds the winner's files against what the release states, `artifacts` reads them,
  `identity` tells which model, policy and code decide
- `engine` scores and decides; `reasons` ranks why an application was not approved, `sentences`
  words what is true of it, and `usual_values` asks the model whether a usual value is better
- `advice` splits a score into fields, and searches what would change a decision
"""
