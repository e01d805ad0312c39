"""Record which version of the model is in production, and when, by GTO's tags in git.

- `periods`: reads which version was live in which period
- `changes`: promotes a version, rolls back, and pushes the tags
- `__main__`: `python -m release.registry promote | rollback | show | live`
"""
