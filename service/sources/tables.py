"""Read the lines of a history from a table, and refuse those that are too old.

The columns are those of the raw file, and their values are read as those of files: what a request
with the same lines would state is what comes out, to the last bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    Connection,
    Integer,
    Numeric,
    Select,
    String,
    TableClause,
    column,
    func,
    inspect,
    select,
    table,
    text,
    tuple_,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from service.sources.connections import open_engine, snapshot
from service.sources.fetched import (
    FetchedLines,
    Key,
    Line,
    SourceAway,
    SourceError,
    Wanted,
    require_fresh,
)
from service.sources.values import value_reader
from stages.contract.tables import FeatureSource, History

KEYS = 50  # of one query
LATER = 2  # times `max_lines` that a key may have, with lines of the decision's day and later


class SourceTable:
    """The table that answers for one history."""

    def __init__(self, name: str, history: History, source: FeatureSource) -> None:
        self.name, self._history, self._source = name, history, source
        self._fields = [*history.fields.values()]
        self._readers = [value_reader(field) for field in self._fields]
        self._key_types: list[TypeEngine[Any]] | None = None

    def read(self, connection: Connection, keys: Collection[Key]) -> FetchedLines:
        """Return the lines of the keys; raises SourceError where they are stale or unreadable."""
        if self._key_types is None:
            self._require_reading_alone(connection)
            self._key_types = self._read_key_types(connection)
        as_of = self._read_age(connection)
        lines: dict[Key, list[Line]] = {key: [] for key in keys}
        asked = [key for key in keys if self._may_be_there(key)]
        for start in range(0, len(asked), KEYS):
            for key, line in self._read_lines(connection, asked[start : start + KEYS]):
                lines[key].append(line)
        return FetchedLines(lines, dict.fromkeys(lines, as_of))

    def _require_reading_alone(self, connection: Connection) -> None:
        """Refuse an account of PostgreSQL that may change the table."""
        if connection.dialect.name != "postgresql":
            return
        name = ".".join(f'"{part}"' for part in self._source.table.split("."))
        rights = text("SELECT has_table_privilege(:name, 'INSERT, UPDATE, DELETE, TRUNCATE')")
        if connection.scalar(rights, {"name": name}):
            raise SourceError(
                self.name,
                "source_unavailable",
                f"{self.name} is not fetched: the account of CREDIT_PD_FEATURES_URL may write to "
                f"{self._source.table}; it must be one that may only read",
            )

    def _read_key_types(self, connection: Connection) -> list[TypeEngine[Any]]:
        """Return whole numbers or texts, as the columns of the key are."""
        schema, _, name = self._source.table.rpartition(".")
        columns = inspect(connection).get_columns(name, schema or None)
        types = {each["name"]: each["type"] for each in columns}
        if absent := [each for each in self._history.columns if each not in types]:
            raise SourceError(
                self.name,
                "source_invalid",
                f"{self.name}: {self._source.table} has no column {absent[0]!r}",
            )
        numeric = (Integer, Numeric)
        return [
            BigInteger() if isinstance(types[key], numeric) else String()
            for key in self._history.keys
        ]

    def _may_be_there(self, key: Key) -> bool:
        """Tell whether the columns can hold a key: a whole number is compared as it is written."""
        return all(
            isinstance(kind, String) or _is_whole(part)
            for part, kind in zip(key, self._key_types or (), strict=True)
        )

    def _read_age(self, connection: Connection) -> datetime:
        """Return when the source was loaded; raises SourceError where that is too long ago."""
        place, _, name = self._source.as_of.rpartition(".")
        of = _table(place or self._source.table)
        loaded = connection.scalar(select(func.max(column(name))).select_from(of))
        return require_fresh(self.name, self._source, as_time(loaded))

    def _read_lines(
        self, connection: Connection, keys: Sequence[Key]
    ) -> Iterator[tuple[Key, Line]]:
        """Yield the lines of some keys, by date."""
        most = LATER * self._history.max_lines * len(keys)
        rows = connection.execute(self._query(keys).limit(most + 1)).all()
        if len(rows) > most:
            raise SourceError(
                self.name,
                "source_invalid",
                f"{self.name}: {len(keys)} keys have more than {most:,} lines in "
                f"{self._source.table}",
            )
        width = len(self._history.keys)
        for row in rows:
            key = tuple(str(part) for part in row[:width])
            stated = zip(self._fields, self._readers, row[width:], strict=True)
            line = {field.name: read(as_written(value)) for field, read, value in stated}
            yield key, {name: value for name, value in line.items() if value is not None}

    def _query(self, keys: Sequence[Key]) -> Select[Any]:
        """Return the query of the lines of keys: the columns of the key, then the fields."""
        types = self._key_types or []
        of: list[ColumnClause[Any]] = [
            column(name, kind) for name, kind in zip(self._history.keys, types, strict=True)
        ]
        fields: list[ColumnClause[Any]] = [column(f.source) for f in self._fields]
        day: ColumnClause[Any] = column(self._history.fields[self._history.date].source)
        typed = [_as_typed(key, types) for key in keys]
        among = of[0].in_([key[0] for key in typed]) if len(of) == 1 else tuple_(*of).in_(typed)
        lines = select(*of, *fields).select_from(_table(self._source.table))
        return lines.where(among).order_by(day)


class SqlReader:
    """Reads the lines of histories from one database, all of a request in one snapshot."""

    def __init__(self, url: str, deadline: float, histories: dict[str, History]) -> None:
        self._engine, self._deadline = open_engine(url, deadline), deadline
        self._tables = {
            name: SourceTable(name, h, h.source) for name, h in histories.items() if h.source
        }

    def read(self, wanted: Wanted) -> dict[str, FetchedLines]:
        """Return the lines of keys by history; raises SourceError."""
        name = ""
        try:
            with snapshot(self._engine) as connection:
                fetched = {}
                for name, keys in wanted.items():
                    fetched[name] = self._tables[name].read(connection, keys)
                return fetched
        except SQLAlchemyError as error:
            reason = f"its database cannot be read, or not within {self._deadline:g} s"
            raise SourceAway(name or next(iter(wanted)), reason, str(error)) from error

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()


def _as_typed(key: Key, types: Sequence[TypeEngine[Any]]) -> tuple[str | int, ...]:
    """Return a key as its columns hold it."""
    parts = zip(key, types, strict=True)
    return tuple(part if isinstance(kind, String) else int(part) for part, kind in parts)


def _table(name: str) -> TableClause:
    schema, _, bare = name.rpartition(".")
    return table(bare, schema=schema or None)


def _is_whole(part: str) -> bool:
    digits = part.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 19 and str(int(part)) == part


def as_time(value: object) -> datetime | None:
    """Return a time of a database as one in UTC; None where there is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else None


def as_written(value: object) -> object:
    """Return a value of a database as a file would write it."""
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole else float(value)
    return value
