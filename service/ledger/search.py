"""The conditions by which decisions are found: the reference of their case, and words."""

from collections.abc import Collection

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    Text,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from service.ledger.storage.personal_tables import exist, personal
from service.ledger.storage.schema import entries as table


def ids_of_cases(connection: Connection, references: Collection[str]) -> Select[str]:
    """Return the query of the ids of the decisions of these cases."""
    of_case = of_cases(connection, references)
    return select(table.c.id).where(table.c.sequence.in_(select(of_case.c.sequence)))


def _reference(connection: Connection) -> ColumnElement[str]:
    """Return the expression that the index of cases is made of."""
    if connection.dialect.name == "sqlite":
        return literal_column("json_extract(ledger_entries.payload, '$.reference')", Text)
    return literal_column("(ledger_entries.payload::jsonb ->> 'reference')", Text)


def of_cases(connection: Connection, references: Collection[str]) -> Subquery:
    """Return the query of the decisions of these cases: `reference` and `sequence`.

    Entries of earlier releases have the reference in their payload. The conditions for them are
    those of their index.
    """
    found = "instr" if connection.dialect.name == "sqlite" else "strpos"
    is_in_index: ColumnElement[bool] = literal_column(
        f"""{found}(ledger_entries.payload, '"reference":') > 0"""
    )
    reference = _reference(connection)
    queries = [
        select(reference.label("reference"), table.c.sequence).where(
            table.c.kind == "decision", is_in_index, reference.in_(references)
        )
    ]
    if exist(connection):
        columns = personal.c.reference, personal.c.sequence
        queries.append(select(*columns).where(personal.c.reference.in_(references)))
    return union_all(*queries).subquery()


def matches(word: str, connection: Connection) -> ColumnElement[bool]:
    """Return the condition that a decision, or an entry about it, holds a word; see `recent`."""
    if word.lower() in ("approve", "refer", "decline"):
        return table.c.decision == word.lower()
    rating = func.lower(table.c.rating) == word.lower()
    if len(word) < 3:
        return rating
    later = table.alias()
    said_later = exists().where(
        later.c.refers_to == table.c.id, later.c.payload.icontains(word, autoescape=True)
    )
    said = [rating, table.c.payload.icontains(word, autoescape=True), said_later]
    if exist(connection):
        apart = personal.alias()
        holds = (
            apart.c.sequence == later.c.sequence,
            apart.c.content.icontains(word, autoescape=True),
        )
        said.append(personal.c.content.icontains(word, autoescape=True))
        said.append(exists().where(later.c.refers_to == table.c.id, *holds))
    return or_(*said)
