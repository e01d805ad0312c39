"""Who may send which request.

- `permissions` is the table of the endpoints and the roles that they need
- `authentication` finds the caller of a request from its API key, its token or its cookie
- `login` logs people in by an identity provider
- `security_log` reports attempts that were refused
"""
