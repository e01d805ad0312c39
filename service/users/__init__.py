"""Who calls the service: API keys of services, tokens of people, and the roles that they hold.

- `callers` holds the roles, and what is known of the caller of a request
- `tokens` checks the tokens of people; `provider` reads the public keys of those who sign them
- `api_keys` reads and writes the file of API keys
- `configured` reads what the settings say about all of these

`python -m service.users` adds, lists and revokes API keys. Which role an endpoint needs stands in
`service.api.access.permissions`.
"""
