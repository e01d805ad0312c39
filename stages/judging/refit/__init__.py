"""Fit the winner again to ship it, once it was judged: the figures stay those of the judged model.

- `winner`: fits it again on later rows, with the same parameters
- `anchor`: moves the level of its PDs to a bad rate
- `agreement`: whether both models agree on the test rows, within what params.yaml allows
- `shipping`: chooses the model that ships, and writes it beside the one that was judged

`stages.evaluate` and the gate import from here.
"""
