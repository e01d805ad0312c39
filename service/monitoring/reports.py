"""Store the reports of monitoring and the incidents they open, in the ledger's database."""

from __future__ import annotations

import json
from typing import Any, TypedDict, cast

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Row,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)

from service.ledger.storage.database import begin_writing, connection_to
from service.ledger.storage.schema import metadata

LOCK_TIMEOUT = 15.0  # seconds; longer than for decisions, since nobody waits for a report
_LOCK = 7_264_331_903  # any number that only this program uses


class Incident(TypedDict):
    """An incident as the database holds it; `key` is SOURCE/FIELD, times are in UTC."""

    id: int
    key: str
    opened: str
    closed: str | None
    loudness: str
    words: str
    value: float


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
        """Store a report and return its number; None if a report about this window exists."""
        with connection_to(self.engine) as connection:
            begin_writing(connection, _LOCK, LOCK_TIMEOUT)
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
        """Return the report with this number, None if there is none."""
        query = select(reports.c.content).where(reports.c.id == number)
        with connection_to(self.engine) as connection:
            text = connection.execute(query).scalar_one_or_none()
        return None if text is None else dict(json.loads(text))

    def recent(self, limit: int, before: int | None = None, after: int = 0) -> list[dict[str, Any]]:
        """Return up to `limit` reports with numbers between `after` and `before`, newest first."""
        query = select(reports.c.content).order_by(reports.c.id.desc()).limit(limit)
        query = query.where(reports.c.id > after)
        if before is not None:
            query = query.where(reports.c.id < before)
        with connection_to(self.engine) as connection:
            return [json.loads(text) for text in connection.execute(query).scalars()]

    def last_covered(self, window: int, model: str) -> int:
        """Return the last entry's number in the reports of this window and model, 0 if none."""
        with connection_to(self.engine) as connection:
            return _last_reported(connection, window, model)

    def open_incidents(self) -> list[Incident]:
        """Return the incidents that are not closed, oldest first."""
        query = select(incidents).where(incidents.c.closed.is_(None)).order_by(incidents.c.id)
        with connection_to(self.engine) as connection:
            return [_as_incident(row) for row in connection.execute(query)]

    def settle(
        self, source: str, findings: list[dict[str, Any]], time: str
    ) -> tuple[list[Incident], list[Incident]]:
        """Open an incident for each field with a warning or alarm, and close those without.

        Only incidents of the same source, such as the window "1000", are closed, because a small
        window cannot detect all that a large one does. Returns the incidents that began and ended,
        without fields that have an incident of another source, so that each is announced once.
        """
        prefix = f"{source}/"
        loud: dict[str, dict[str, Any]] = {}
        for finding in findings:  # sorted with the loudest first, which is kept
            if finding["loudness"] != "notice":
                loud.setdefault(f"{prefix}{finding['field']}", finding)
        with connection_to(self.engine) as connection:
            begin_writing(connection, _LOCK, LOCK_TIMEOUT)
            query = select(incidents).where(incidents.c.closed.is_(None))
            present = {row.key: _as_incident(row) for row in connection.execute(query)}
            new = [(key, finding) for key, finding in loud.items() if key not in present]
            opened: list[Incident] = [
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
            closed: list[Incident] = [
                {**incident, "closed": time}
                for key, incident in present.items()
                if key.startswith(prefix) and key not in loud
            ]
            if opened:
                connection.execute(insert(incidents), [dict(incident) for incident in opened])
            for incident in closed:
                has_id = incidents.c.id == incident["id"]
                connection.execute(update(incidents).where(has_id).values(closed=time))
            connection.commit()
        elsewhere = {field_of(key) for key in present if not key.startswith(prefix)}
        return (
            [incident for incident in opened if field_of(incident["key"]) not in elsewhere],
            [incident for incident in closed if field_of(incident["key"]) not in elsewhere],
        )


def field_of(key: str) -> str:
    """Return the field in the key SOURCE/FIELD of an incident."""
    return key.partition("/")[2]


def _as_incident(row: Row[Any]) -> Incident:
    return cast(Incident, dict(row._mapping))


def _last_reported(connection: Connection, window: int, model: str) -> int:
    query = select(func.max(reports.c.last_sequence)).where(
        reports.c.window == window, reports.c.model == model
    )
    return int(connection.execute(query).scalar_one() or 0)


def _next(connection: Connection, table: Table) -> int:
    """Return the number of a table's next row."""
    return int(connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()) + 1
