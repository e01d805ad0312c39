"""Describe the API to its users.

- `schemas` are the models of the JSON objects that are sent and answered
- `openapi` describes the endpoints in OpenAPI; `docs` renders this description as an HTML page
- `model_info` describes the winner, its contract and the policy
"""
