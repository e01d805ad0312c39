"""Describe the service to those who use it.

- `schemas` and `monitoring_schemas` are the shapes of what is sent and answered
- `openapi` makes the OpenAPI description of them, `docs` a page of it
- `model_info` describes the winner, its contract and the policy
"""
