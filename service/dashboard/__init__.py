"""The dashboard, a Streamlit page about decisions and the model: `python -m service.dashboard`.

It only reads the ledger's database. No other package imports from here.

- `page`: the script that Streamlit runs, with totals, open incidents and the tabs
- `tabs`: the tabs about decisions, drift, performance, overrides and the model
- `charts`: the charts that Streamlit itself does not offer
- `queries`: the database queries; `cached` keeps their results for half a minute
"""
