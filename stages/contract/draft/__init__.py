"""Drafts a contract from the raw files of an unknown loan book.

`drafting` does it with the help of the others. `book` reads the tables and decides about each
column, which `columns` describes; `contract_text` writes the draft, and `doubts` what a person
should confirm in it. `outcome` codes the target and finds labels that came too early,
`decision_date` finds what splits the book, `keys` joins the tables and finds the customer,
`leakage` finds columns that know too much, `price` what gives the price away, and `evidence` what
speaks for and against each. `economics` says what the policy means for the book, and `questions`
asks a person.
"""
