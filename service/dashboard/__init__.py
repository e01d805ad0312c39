"""The dashboard, a Streamlit page about decisions and the model: `python -m service.dashboard`.

It only reads the ledger's database. No other package imports from here.

- `page`: the script that Streamlit runs, with totals, open incidents and the tabs
- `tabs`: the tabs about decisions, performance, fairness, overrides and the model
- `drift_tab`, `challenger_tab`, `audit_tab`: the tabs about drift, about a challenger in shadow,
  and for auditors; `audit` writes their export
- `charts`: the charts that Streamlit itself does not offer; `formatting`: times, severities and
  titles
- `baselines`: what training and test rows say, to stand beside live figures
- `queries`: the database queries; `totals` the
  decisions that are counted already; `cached` keeps their results until the ledger changes
"""
