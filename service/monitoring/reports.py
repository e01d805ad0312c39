"""Store the reports of monitoring and the incidents they open, in the ledger's database."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)

from service.ledger.database import begin_writing, connection_to
from service.ledger.schema import metadata

LOCK_PATIENCE = 15.0  # seconds; nobody waits for a report, and decisions come first
_LOCK = 7_264_331_903  # any number that only this program uses

reports = Table(
    "drift_reports",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("time", Text),
    Column("window", BigInteger),
    Column("last_sequence", BigInteger),
    Column("loudest", Text),
    Column("model", Text),
    Column("content", Text),
)
incidents = Table(
    "incidents",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("key", Text),
    Column("opened", Text),
    Column("closed", Text),
    Column("loudness", Text),
    Column("words", Text),
    Column("value", Float),
)


class Reports:
    """The reports and incidents of one ledger's database; every function waits for it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def add(self, report: dict[str, Any]) -> int | None:
        """Keep a report and return its number; None where this window was reported meanwhile."""
        with connection_to(self.engine) as connection:
            begin_writing(connection, _LOCK, LOCK_PATIENCE)
            if (
                _last_reported(connection, report["window"], report["model"])
                >= (report["last_sequence"])
            ):
                return None
            number = _next(connection, reports)
            row = {
                name: report[name]
                for name in ("time", "window", "last_sequence", "loudest", "model")
            }
            content = json.dumps({"id": number, **report}, allow_nan=False)
            connection.execute(insert(reports), [{"id": number, **row, "content": content}])
            connection.commit()
        return number

    def get(self, number: int) -> dict[str, Any] | None:
        """Return one report; None where there is none."""
        with connection_to(self.engine) as connection:
            found = connection.execute(select(reports.c.content).where(reports.c.id == number))
            text = found.scalar_one_or_none()
        return None if text is None else dict(json.loads(text))

    def recent(self, limit: int, before: int | None = None, after: int = 0) -> list[dict[str, Any]]:
        """Return the newest reports with numbers between `after` and `before`, newest first."""
        query = select(reports.c.content).order_by(reports.c.id.desc()).limit(limit)
        query = query.where(reports.c.id > after)
        if before is not None:
            query = query.where(reports.c.id < before)
        with connection_to(self.engine) as connection:
            return [json.loads(text) for text in connection.execute(query).scalars()]

    def last_covered(self, window: int, model: str) -> int:
        """Return the last ledger entry that a report of this window and model covers, or 0."""
        with connection_to(self.engine) as connection:
            return _last_reported(connection, window, model)

    def open_incidents(self) -> list[dict[str, Any]]:
        """Return the incidents that are not closed, oldest first."""
        query = select(incidents).where(incidents.c.closed.is_(None)).order_by(incidents.c.id)
        with connection_to(self.engine) as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def settle(
        self, source: str, found: list[dict[str, Any]], time: str
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Open an incident for every field with a warning or alarm, close those that are over.

        Only incidents of the same source are closed, such as "1000", a window: a small window
        cannot see what a large one saw. Returns the incidents that began and that ended for a field
        as a whole, so that a drift that three windows see is announced once.
        """
        prefix = f"{source}/"
        loud: dict[str, dict[str, Any]] = {}
        for finding in found:  # the loudest come first, and speak for their field
            if finding["loudness"] != "notice":
                loud.setdefault(f"{prefix}{finding['field']}", finding)
        with connection_to(self.engine) as connection:
            begin_writing(connection, _LOCK, LOCK_PATIENCE)
            query = select(incidents).where(incidents.c.closed.is_(None))
            known = {row.key: dict(row._mapping) for row in connection.execute(query)}
            new = [(key, finding) for key, finding in loud.items() if key not in known]
            opened = [
                {
                    "id": number,
                    "key": key,
                    "opened": time,
                    "closed": None,
                    "loudness": finding["loudness"],
                    "words": f"{finding['field']}: {finding['words']}",
                    "value": finding["value"],
                }
                for number, (key, finding) in enumerate(new, _next(connection, incidents))
            ]
            closed = [
                own | {"closed": time}
                for key, own in known.items()
                if key.startswith(prefix) and key not in loud
            ]
            if opened:
                connection.execute(insert(incidents), opened)
            for own in closed:
                mine = incidents.c.id == own["id"]
                connection.execute(update(incidents).where(mine).values(closed=time))
            connection.commit()
        elsewhere = {field_of(key) for key in known if not key.startswith(prefix)}
        return (
            [own for own in opened if field_of(own["key"]) not in elsewhere],
            [own for own in closed if field_of(own["key"]) not in elsewhere],
        )


def field_of(key: str) -> str:
    """Return the field that an incident is about."""
    return key.partition("/")[2]


def _last_reported(connection: Connection, window: int, model: str) -> int:
    query = select(func.max(reports.c.last_sequence)).where(
        reports.c.window == window, reports.c.model == model
    )
    return int(connection.execute(query).scalar_one() or 0)


def _next(connection: Connection, table: Table) -> int:
    """Return the number of a table's next row."""
    return int(connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()) + 1
