"""Turn the rows of a loan book into the numbers that models are fitted on.

- `matrix`: raw columns to a numeric matrix, by the same code in the pipeline and the service
- `encoding`: the codes of raw values, such as categories and dates
- `lines`: the lines of histories as arrays, from requests and prepared data
- `aggregates`: one number per application from such lines
- `facts`: features that say one thing to a person, such as a field and its ratios
- `matrix_files`: that matrix in files, made by parts of the rows and read by columns
- `statistics`: how features relate to the outcome and to one another, from training rows alone
- `feature_correlation`: how strongly features go together, two by two
- `information_value`: IV and WoE from counts in cells of a feature's values
- `split`: which rows are for training, validation and test
- `groups`: the rows of one customer or with equal values, which must stay in one part of a split
- `assignment`: the split that a contract asks for, by `split` and `groups`

The service imports `matrix`, `encoding` and `facts`; `stages.models` and `stages.judging` import
`statistics` too. Only the stages, and the draft and the check of a contract import the last three.
This package imports from `stages.contract` and `stages.compute` alone.
"""
