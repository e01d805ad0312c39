"""The pipeline, from raw tables to a judged model, and the code it shares with the service.

The modules that DVC runs are named by verbs; each reads files, writes files, and is imported by
tests alone:

- `check` ends the run where params.yaml names a dataset or a candidate that is not there
- `preprocess` joins, repairs, validates and splits the raw tables
- `featurize` turns the prepared rows into numeric matrices
- `search` looks for a candidate's parameters, for a book that nobody has searched
- `train` fits and calibrates one candidate
- `evaluate` chooses the winner, judges it on the test rows, and writes what follows from it
- `dossier` writes what a validator, an auditor and a risk committee ask of the winner

Further commands: `fetch` gets the raw tables, `simulate` makes the default ones, `tune` looks for
better parameters, `policy` replays rows under another policy, `summary` prints the winner's
figures, and `plots` draws them.

The packages build on one another in this order:

- `compute` calls functions of a part of the rows, here or on a cluster
- `contract` describes a loan book and reads its rows
- `features` turns rows into numbers
- `metrics` measures PDs against outcomes
- `preparation` cuts a book into parts, and joins, checks and splits them
- `models` fits the candidates and uses what was fitted
- `judging` chooses the winner and writes what follows
- `replay` says what another policy or model would have decided
- `fairness` searches for models that treat groups more alike
- `simulation` invents a loan book

`policy` turns a PD into a decision, `params` checks params.yaml, `project` finds the project's
folder, `files` writes files whole, and `errors` ends a command with one message. The service and
the releases import from the packages, `params`, `policy`, `files` and `project`, and never from a
command. Nothing here imports from them.
"""

from stages import project

project.require_environment()
