"""The settings of the service: this package reads and checks every environment variable.

    from service import settings
    settings.load().max_batch

- `ledger`, `access`, `users`, `limits`, `identity`, `monitoring`, `shadow`, `alerts`, `letters`,
  `page`: the settings of these subjects
- `declaration`: how a setting is declared; `environment`: reads, checks and documents all of them

A new setting goes to its subject; a new subject is a base class of `environment.Settings`.
`python -m service.settings` prints all settings as the table that the documentation shows.
"""

from service.settings.environment import (
    Settings,
    SettingsError,
    load,
    read_secret,
    table,
    variables,
)

__all__ = ["Settings", "SettingsError", "load", "read_secret", "table", "variables"]
