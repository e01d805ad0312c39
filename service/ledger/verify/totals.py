"""Hold the totals of decisions, which are no part of the chain, against the entries."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, cast, func, literal, or_, select, union_all

from service.ledger.storage.schema import entries, read_head
from service.ledger.storage.totals import (
    DAY,
    HOUR,
    KEY,
    MINUTE,
    counted,
    exist,
    select_decisions,
    totals,
)

ROUNDING = 1e-6  # a sum of PDs depends on the order of its parts


def check_totals(connection: Connection) -> Iterator[str]:
    """Compare the minutes with a count of the entries, hours with minutes, and days with hours."""
    if not exist(connection):
        return
    last = connection.execute(select(counted)).scalar_one()
    if last > read_head(connection).sequence:
        yield f"the totals say that they count {last} entries, more than there are"
    decisions = select_decisions(connection.dialect.name, MINUTE)
    yield from _compare(connection, decisions.where(entries.c.sequence <= counted), MINUTE)
    for longer, shorter in ((HOUR, MINUTE), (DAY, HOUR)):
        yield from _compare(connection, _cut(shorter, longer), longer)


def _cut(shorter: int, longer: int) -> Select[Any]:
    """Return the query of the totals of shorter periods, as parts of the longer ones."""
    columns: dict[str, Any] = {
        "length": literal(longer, BigInteger),
        "period": func.substr(totals.c.period, 1, longer),
    }
    query = select(*(columns.get(each.name, each).label(each.name) for each in totals.c))
    return query.where(totals.c.length == shorter)


def _compare(connection: Connection, parts: Select[Any], length: int) -> Iterator[str]:
    """Add up the parts and subtract the totals of this length, in one statement."""
    kept = [-each if each.name in ("decisions", "pd") else each for each in totals.c]
    rows = union_all(
        parts.add_columns(literal(0).label("kept")),
        select(*kept, literal(1)).where(totals.c.length == length),
    ).subquery()
    first, last = (
        [func.coalesce(end(rows.c[name]).filter(rows.c.kept == kept), "") for kept in (0, 1)]
        for name, end in (("first", func.min), ("last", func.max))
    )
    query = select(rows.c.period, cast(func.sum(rows.c.decisions), BigInteger))
    wrong = query.group_by(*(rows.c[name] for name in KEY)).having(
        or_(
            func.sum(rows.c.decisions) != 0,
            func.abs(func.sum(rows.c.pd)) > ROUNDING,
            first[0] != first[1],
            last[0] != last[1],
        )
    )
    for period, missing in connection.execute(wrong):
        what = "differ from its entries" if not missing else f"lack {missing} of its decisions"
        yield f"the totals of {period} {what}"
