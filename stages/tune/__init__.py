"""Search a candidate's parameters: `python -m stages.tune CANDIDATE --trials N`.

- `search` scores parameters by cross-validation of the training part
- `early_stopped` runs the search of the stage `search`, in which boosters stop growing early

The stage imports both; nothing imports the command.
"""
