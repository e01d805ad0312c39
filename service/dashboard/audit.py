"""Write what an auditor asks for about a period: a ZIP file that a person and a program can read.

It holds every entry of the period with its place in the chain, by its kind: `decisions.csv`,
`overrides.csv`, `proposals.csv`, `rejections.csv`, `notes.csv`, `outcomes.csv`, `erases.csv` and
`shadows.csv` (the scores of challengers).
The column `payload` is the recorded text, whose hash the chain holds, and `personal` the part
beside it, empty where it was erased. Beside them stand `reports.json` and `incidents.json` of the
period, `policies.json` with the policies that the decisions name, and `manifest.json`: the period,
the counts, the head of the chain, and the SHA-256 of every other file.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, Engine, select

from service.dashboard.queries import count_entries
from service.ledger.storage.database import connection_to
from service.ledger.storage.entries import KINDS, Entry
from service.ledger.storage.personal_tables import select_entries
from service.ledger.storage.schema import entries, read_head, read_policies
from service.monitoring.reports import incidents, reports

MOST_ENTRIES = 200_000  # of one file, which is made in memory
FILES = {f"{kind}s.csv": kind for kind in KINDS}


class TooMany(ValueError):
    """A period has more entries than one file may have; the message says how many."""


def export(engine: Engine, since: str, until: str) -> bytes:
    """Return the ZIP file of a period; raises TooMany."""
    count = count_entries(engine, since, until)
    if count > MOST_ENTRIES:
        raise TooMany(
            f"the period has {count:,} entries, and one file may have {MOST_ENTRIES:,}: choose a "
            "shorter one"
        )
    with connection_to(engine) as connection:
        files, counts = {}, {}
        for name, kind in FILES.items():
            rows = list(_entries(connection, kind, since, until))
            files[name], counts[name] = as_csv(rows), len(rows)
        period = select(reports.c.content).where(*_within(reports.c.time, since, until))
        found = [json.loads(text) for text in connection.execute(period).scalars()]
        files["reports.json"] = as_json(found)
        opened = select(incidents).where(*_within(incidents.c.opened, since, until))
        rows_ = [dict(row._mapping) for row in connection.execute(opened)]
        files["incidents.json"] = as_json(rows_)
        named = (
            select(entries.c.policy)
            .distinct()
            .where(entries.c.kind == "decision", *_within(entries.c.time, since, until))
        )
        policies = {name for name in connection.execute(named).scalars() if name}
        files["policies.json"] = as_json(read_policies(connection, policies))
        head = read_head(connection)
    manifest = {
        "since": since,
        "until": until,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "chain": {"sequence": head.sequence, "hash": head.hash},
        "rows": counts | {"reports.json": len(found), "incidents.json": len(rows_)},
        "sha256": {name: sha256(content).hexdigest() for name, content in files.items()},
    }
    return as_zip(files | {"manifest.json": as_json(manifest)})


def _within(
    column: ColumnElement[str], since: str, until: str
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return column >= since, column < until


def _entries(
    connection: Connection, kind: str, since: str, until: str
) -> Iterator[tuple[object, ...]]:
    of_kind = (entries.c.kind == kind, *_within(entries.c.time, since, until))
    query = select_entries(connection).where(*of_kind).order_by(entries.c.sequence)
    for row in connection.execute(query):
        yield tuple(row)


def as_csv(rows: list[tuple[object, ...]]) -> bytes:
    """Return entries as a CSV file with a column for each part of an entry."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(Entry._fields)
    writer.writerows(rows)
    return text.getvalue().encode()


def as_json(content: object) -> bytes:
    """Return a value as an indented JSON file."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def as_zip(files: dict[str, bytes]) -> bytes:
    """Return files by name as one ZIP file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return packed.getvalue()
