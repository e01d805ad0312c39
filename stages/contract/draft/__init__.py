"""Drafts a contract from the raw files of an unknown loan book.

`book` reads the tables and decides about each column; `contract_text` writes the draft. A raw
`column` is described by `profile` (booleans, dates, categories, text), `quantities` (numbers) and
`column_names` (what a name suggests). `outcome` codes the target and finds labels that came too
early, `keys` joins the tables and finds the customer, `leakage` finds columns that know too much,
and `price` what gives the price away. `dialect` finds how files write tables, dates and numbers,
and `reasons` proposes what applicants are told. `stages.contract.command` imports these, and
`check` imports `outcome`, `leakage` and `column_names`.
"""
