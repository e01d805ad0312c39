"""The page for those who watch the model: `python -m service.dashboard`.

It reads the ledger's database and writes nothing. Nothing may import from here.

- `page`: what Streamlit runs: totals, open incidents, and the tabs
- `tabs`: decisions, drift, performance, overrides, and the model
- `charts`: the charts that Streamlit does not have ready
- `queries`, `cached`: what the database counts, remembered for half a minute
"""
