"""Answer requests over HTTP by means of `decision`, `ledger` and `monitoring`.

- `application` wraps BentoML's own, logs requests and runs periodic tasks; `guards` checks hosts
  and bodies for it, and `load` refuses what would make everybody wait
- `access` says who may send which request
- `cases` reads the reference of a case, and finds the earlier decisions about it
- `handlers` decide, record and answer; `drafts` turns decisions into ledger entries and answers
- `idempotency` answers repeated requests as before
- `requests` defines requests, responses and refusals, and `headers` those of answers
- `batching` groups simultaneous requests
- `refusals` counts the rules that refused applications broke; `metrics` are those of Prometheus
- `description` describes the API to its users; `ui/` is the page for loan officers
"""
