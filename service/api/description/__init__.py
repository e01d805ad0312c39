"""Describe the API to its users.

- `schemas` are the models of the JSON objects that are sent and answered
- `openapi` describes the API in OpenAPI, and `paths` its endpoints; `docs` renders it as an HTML
  page
- `model_info` describes the winner, its contract and the policy
"""
