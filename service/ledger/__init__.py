"""The decision ledger: an append-only, hash-chained record of decisions, overrides and outcomes.

    ledger = Ledger()                                    # DATABASE_URL, else a SQLite file
    entry = await ledger.append(draft("decision", {...}))   # returns when the row is durable
    history = await ledger.in_thread(ledger.get, entry.id)

Other packages import from here; the monitor and the dashboard also query `storage.schema.entries`
through `storage.database.connection_to`. The ledger imports nothing that deals with models,
requests or HTTP.

- `storage`: the databases, their tables, and the entries in them
- `migrations`: how Alembic creates and upgrades the tables
- `writer`, `chain_connection`: group commit by one thread on one connection
- `claims`: which requests were recorded, so that a repeated one is not recorded again
- `review`: record what officers say about decisions, and list the open referrals
- `reader`, `search`, `verify`: read and search entries, verify the chain
- `personal`: the personal parts beside the chain, and their erasure
- `backup`: copy a ledger into a file while it is written, and back
- `ledger`: the class `Ledger`, which combines these modules
- `__main__`: `python -m service.ledger verify | erase | backup | restore | migrate | roles | init`
"""

from service.ledger.ledger import AlreadyRecorded, Ledger
from service.ledger.reader import EntryHistory, HistoryPage
from service.ledger.storage.database import LedgerUnavailable
from service.ledger.storage.entries import Draft, Entry, Head, draft
from service.ledger.storage.officer_drafts import override
from service.ledger.writer import WriterStatus

__all__ = [
    "AlreadyRecorded",
    "Draft",
    "Entry",
    "EntryHistory",
    "Head",
    "HistoryPage",
    "Ledger",
    "LedgerUnavailable",
    "WriterStatus",
    "draft",
    "override",
]
