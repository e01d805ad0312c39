"""Name what figures cannot judge in a change, and who answered for it.

- `declarations`: what the change says otherwise in params.yaml, dvc.yaml and contract
- `sources`: other places of data and code, and files that hide a change
- `features`: new features that give the outcome or a protected attribute away
- `directions`: fields whose PD goes against the direction of risk that the contract states
- `books`: the loans of both sides
- `rows`: loans that went, changed or came from the past, and groups that nobody is in
- `gains`: figures that are too good to be true
- `acknowledgements`: models/acknowledgements.yaml, in which people answer for a red flag

A red flag that nobody answers for fails the change.
"""
