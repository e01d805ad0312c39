"""Where the ledger of decisions is kept."""

from __future__ import annotations

from service.settings.declaration import Days, SettingsSection, variable


class LedgerSettings(SettingsSection):
    """The settings of the ledger."""

    database_url: str = variable(
        "DATABASE_URL",
        "sqlite:///ledger/decisions.sqlite",
        "The database that holds the ledger of decisions.",
        "sqlite:///PATH or postgresql://...",
    )
    erase_after_days: Days = variable(
        "ERASE_AFTER_DAYS",
        0,
        "Days after which `python -m service.ledger erase --expired` removes the personal parts "
        "of a decision; 0 means never.",
        "a whole number from 0",
    )
    ledger_checkpoints: str = variable(
        "LEDGER_CHECKPOINTS",
        "",
        "The folder of the checkpoint (length and last hash of the ledger), best on another disk; "
        "the default is the folder of a SQLite ledger, and `ledger` for PostgreSQL.",
        "a path",
    )
