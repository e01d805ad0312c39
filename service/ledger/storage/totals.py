"""Totals of decisions by day, hour and minute, which the dashboard reads instead of every decision.

They count the entries up to the number that stands beside the head of the chain; whoever reads them
counts the few later entries as well. So both together are exact, whichever release wrote them.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    cast,
    column,
    func,
    inspect,
    literal,
    select,
    table,
    true,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite

from service.ledger.storage.schema import band_of, entries, metadata

DAY, HOUR, MINUTE = 10, 13, 16  # characters of a time's text
STEP = 2_048  # entries that are counted at once, while the commit of the last of them waits
MOST = 4 * STEP  # entries that are counted at once where an earlier release has written many

KEY = ("length", "period", "decision", "rating", "band", "model", "policy")
_NAMES = (*KEY, "decisions", "pd", "first", "last")
_TYPES = {"length": BigInteger, "band": BigInteger, "decisions": BigInteger, "pd": Float}
totals = Table(
    "ledger_totals",
    metadata,
    *(Column(name, _TYPES.get(name, Text)) for name in _NAMES),
)
_head = table("ledger_head", column("counted", BigInteger))
counted = select(_head.c.counted).scalar_subquery()
"""The number of the last entry that the totals count."""


def exist(connection: Connection) -> bool:
    """Tell whether the database has totals as this program keeps them: older ones have not."""
    if not connection.info.get(totals.name):
        columns = inspect(connection).get_columns(_head.name)
        connection.info[totals.name] = "counted" in {each["name"] for each in columns}
    return bool(connection.info[totals.name])


def count_up_to(connection: Connection, before: int, last: int) -> None:
    """Count the entries up to `last`, where those after `before` reach a multiple of STEP.

    The caller has locked the head of the chain, and has inserted these entries.
    """
    if before // STEP == last // STEP or not exist(connection):
        return
    since = connection.execute(select(counted)).scalar_one()
    last = min(last, since + MOST)
    rows = select_decisions(connection.dialect.name, MINUTE)
    added = rows.where(entries.c.sequence > since, entries.c.sequence <= last)
    _add(connection, _sum(added.subquery("decisions"), literal(MINUTE, Integer)).subquery())
    connection.execute(_head.update(), {"counted": last})


def select_decisions(dialect: str, length: int) -> Select[Any]:
    """Return the query of all decisions, each as a row of totals of this length."""
    columns: dict[str, ColumnElement[Any]] = {
        "length": literal(length, Integer),
        "period": func.substr(entries.c.time, 1, length),
        "band": func.coalesce(band_of(dialect), 0),
        "decisions": literal(1, BigInteger),
        "pd": func.coalesce(entries.c.default_probability, 0.0),
        "first": entries.c.time,
        "last": entries.c.time,
    }
    for name in ("decision", "rating", "model", "policy"):
        columns[name] = func.coalesce(entries.c[name], "")
    query = select(*(columns[name].label(name) for name in _NAMES))
    return query.where(entries.c.kind == "decision")


def _sum(rows: FromClause, length: ColumnElement[int]) -> Select[Any]:
    """Return the query that adds up rows of totals by periods of this length."""
    key: dict[str, ColumnElement[Any]] = {name: rows.c[name] for name in KEY}
    key["length"], key["period"] = length, func.substr(rows.c.period, 1, length)
    columns = {
        **key,
        "decisions": cast(func.sum(rows.c.decisions), BigInteger),
        "pd": func.sum(rows.c.pd),
        "first": func.min(rows.c.first),
        "last": func.max(rows.c.last),
    }
    query = select(*(column.label(name) for name, column in columns.items()))
    return query.group_by(*key.values())


def _add(connection: Connection, minutes: FromClause) -> None:
    """Add the sums of minutes to the totals of these minutes, their hours and their days."""
    is_sqlite = connection.dialect.name == "sqlite"
    lesser, greater = (func.min, func.max) if is_sqlite else (func.least, func.greatest)
    each = (select(literal(length, Integer).label("length")) for length in (DAY, HOUR, MINUTE))
    lengths = union_all(*each).subquery("lengths")
    added = _sum(minutes, lengths.c.length).select_from(minutes.join(lengths, true()))
    insert = (sqlite.insert if is_sqlite else postgresql.insert)(totals)
    insert = insert.from_select(_NAMES, added.where(true()))
    new = insert.excluded
    changes = {
        "decisions": totals.c.decisions + new.decisions,
        "pd": totals.c.pd + new.pd,
        "first": lesser(totals.c.first, new.first),
        "last": greater(totals.c.last, new.last),
    }
    connection.execute(insert.on_conflict_do_update(index_elements=KEY, set_=changes))
