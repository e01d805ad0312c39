"""The models of the JSON objects that are sent and answered.

- `decisions`: answers, batches and explanations; `records`: entries, lists and receipts
- `review`: overrides, approvals and notes of officers
- `monitoring`: outcomes and drift reports; `service`: readiness and the served model
- `parts`: what several of them have

A model that OpenAPI shall describe is listed in `service.api.description.openapi`.
"""
