"""What a raw column of an unknown book holds, and what a contract says of it.

`column` counts its words, and `column_names` says what its name suggests. `profile` guesses its
type, with `quantities` for numbers, `dialect` for how files write tables, dates and numbers, and
`word_order` for categories that go from low to high.
"""
