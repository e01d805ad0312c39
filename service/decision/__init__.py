"""Decide about applications. Nothing here imports the web or the ledger.

- `applications` checks what comes against the contract by `field_types` and `json_bodies`;
  `problems` words what is wrong with it
- `artifacts` reads the winner's files, `identity` tells which model, policy and code decide
- `engine` scores and decides, `reasons` words why an application was not approved
- `explanation` splits a score into fields, `recourse` searches what would change a decision
"""

import os

# OpenMP reads these when the boosters load it. Its threads would otherwise spin between requests
# and take the processors from the service's other processes.
for _name, _value in {
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "0",
    "KMP_BLOCKTIME": "0",
}.items():
    os.environ.setdefault(_name, _value)
