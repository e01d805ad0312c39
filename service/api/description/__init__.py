"""Describe the API to its users.

- `schemas` are the models of the JSON objects that are sent and answered
- `openapi` describes the API in OpenAPI, `paths` its endpoints, `operations` the parts of one, and
  `queries` the parameters of lists; `docs` renders it as an HTML page
- `model_info` describes the winner, its contract and the policy
"""
