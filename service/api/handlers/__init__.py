"""The handlers of requests: each takes a request and returns a status and a body.

- `decisions` decides about applications and explains; `records` reads the ledger; `review` records
  what officers decide
- `letters` writes to applicants about recorded decisions
- `monitoring` answers about outcomes and drift, and runs monitor and challenger as processes
  (`child_process`)
- `callers` tells callers who they are
- `probes` tells whether the service is ready; `documentation` describes the model and the API
- `state` holds what all handlers share; `api` makes the handlers and lists their routes

A handler refuses with `service.api.requests.Refused`.
"""
