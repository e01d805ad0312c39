"""The formulas and the rules of a contract and of a policy, read from text.

- `simple`: ratios of two fields and comparisons of two sides, whose turning points are known
- `syntax`: what a longer expression may say, read by Python's parser and a list of what is allowed
- `operations`: what an expression does with columns of numbers, missing ones included
- `meaning`: an expression with the types of its fields, ready to be computed
- `general`: formulas and conditions, which `parse_formula` and `parse_rule` return
"""
