"""Hold the totals of decisions, which are no part of the chain, against the entries."""

from collections.abc import Iterator

from sqlalchemy import BigInteger, Connection, cast, func, literal, or_, select, union_all

from service.ledger.migrations import revisions
from service.ledger.storage.schema import band_of, entries, totals

REVISION = "0011"  # the migration that adds the totals
DAY, HOUR, MINUTE = 10, 13, 16  # characters of a time's text
ROUNDING = 1e-6  # a sum of PDs depends on the order of its parts


def has_totals(connection: Connection) -> bool:
    """Tell whether the database keeps totals; one that is older than this program does not."""
    return (revisions.read(connection) or "") >= REVISION


def check_totals(connection: Connection) -> Iterator[str]:
    """Compare the totals of every period with a count of the entries."""
    if not has_totals(connection):
        return
    for length in (DAY, HOUR, MINUTE):
        yield from _check(connection, length)


def _check(connection: Connection, length: int) -> Iterator[str]:
    """Add up what the entries say and subtract what the totals say, in one statement."""
    names = ("decision", "rating", "model", "policy")
    counted = select(
        func.substr(entries.c.time, 1, length).label("period"),
        *(func.coalesce(entries.c[name], "").label(name) for name in names),
        func.coalesce(band_of(connection.dialect.name), 0).label("band"),
        literal(1, BigInteger).label("decisions"),
        func.coalesce(entries.c.default_probability, 0.0).label("pd"),
        entries.c.time.label("first"),
        entries.c.time.label("last"),
        literal(0).label("kept"),
    ).where(entries.c.kind == "decision")
    kept = select(
        totals.c.period,
        *(totals.c[name] for name in names),
        totals.c.band,
        -totals.c.decisions,
        -totals.c.pd,
        totals.c.first,
        totals.c.last,
        literal(1),
    ).where(totals.c.length == length)
    both = union_all(counted, kept).subquery()
    first, last = (
        [func.coalesce(end(both.c[name]).filter(both.c.kept == kept), "") for kept in (0, 1)]
        for name, end in (("first", func.min), ("last", func.max))
    )
    key = [both.c[name] for name in ("period", *names, "band")]
    query = select(both.c.period, cast(func.sum(both.c.decisions), BigInteger)).group_by(*key)
    wrong = query.having(
        or_(
            func.sum(both.c.decisions) != 0,
            func.abs(func.sum(both.c.pd)) > ROUNDING,
            first[0] != first[1],
            last[0] != last[1],
        )
    )
    for period, missing in connection.execute(wrong):
        what = "differ from its entries" if not missing else f"lack {missing} of its decisions"
        yield f"the totals of {period} {what}"
