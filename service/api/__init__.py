"""Answer over HTTP: this is where decisions, the ledger and monitoring meet.

- `asgi` is the application that stands before BentoML's; `guards` checks keys and bodies for it
- `handlers` decide by `drafts`, record and answer; `monitoring` answers about outcomes and drift
- `background` looks after the ledger and the watching process, beside the answers
- `requests` holds what handlers take, return and refuse; `batching` gathers what comes at once
- `refusals` counts what refused applications broke; `metrics` counts for Prometheus
- `description` describes the service to those who use it; `ui/` is the page for people
"""
