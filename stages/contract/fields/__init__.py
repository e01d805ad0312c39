"""One field of a contract, and how files write its values.

- `field`: the type, the limits and the uses of a raw column
- `parts`: the small parts of contracts, and the base class of all their parts
- `written_values`: missing values, booleans, numbers and dates, as files write them

Everything in `stages.contract` may import from here.
"""
