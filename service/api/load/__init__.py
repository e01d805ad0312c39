"""Refuse requests at once when accepting them would delay everybody.

- `limits` says how much a worker and a caller may have under way
- `draining` ends a worker without a request that is not answered
- `connections` refuses decisions as they arrive, while the limit of decisions is reached
"""
