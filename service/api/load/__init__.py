"""Refuse requests at once when accepting them would delay everybody.

- `limits` says how much a worker and a caller may have under way
- `connections` refuses decisions as they arrive, while the limit of decisions is reached
"""
