"""Refuse at once what would make everybody wait.

- `limits` says how much a worker and a caller may have under way
- `connections` refuses decisions as they arrive, while the limit of decisions is reached
"""
