"""The decision ledger: an append-only, hash-chained record of decisions, overrides and outcomes.

    ledger = Ledger()                                    # DATABASE_URL, else a SQLite file
    entry = await ledger.append(draft("decision", {...}))   # returns when the row is durable
    history = await ledger.in_thread(ledger.get, entry.id)

Other packages import from here; the monitor and the dashboard also query `schema.entries` through
`database.connection_to`. The ledger imports nothing that deals with models, requests or HTTP.

- `entries`: drafts, chained entries, their canonical bytes and hashes
- `database`, `connections`: SQLite and PostgreSQL, with a deadline for every call
- `schema`, `migrations`: the tables, and how Alembic creates and upgrades them
- `checkpoint`: the length and the last hash of the chain, in a file outside the database
- `writer`, `chain_connection`: group commit by one thread on one connection
- `claims`: which requests were recorded, so that a repeated one is not recorded again
- `review`: what officers record about decisions, four eyes, and the queue of open referrals
- `reader`, `search`, `verify`: read and search entries, verify the chain
- `personal`: the personal parts beside the chain, and their erasure
- `backup`: copy a ledger into a file while it is written, and back
- `ledger`: the class `Ledger`, which combines these modules
- `__main__`: `python -m service.ledger verify | erase | backup | restore | migrate | roles | init`
"""

from service.ledger.database import LedgerUnavailable
from service.ledger.entries import Draft, Entry, Head, draft
from service.ledger.ledger import AlreadyRecorded, Ledger
from service.ledger.reader import EntryHistory, HistoryPage
from service.ledger.review.drafts import override
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
