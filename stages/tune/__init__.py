"""Search a candidate's parameters: `python -m stages.tune CANDIDATE --trials N`.

`search` scores parameters by cross-validation of the training part. Nothing imports this package.
"""
