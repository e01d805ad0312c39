"""The conditions of lists of decisions: by final decision, rating, officer and date."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Text,
    and_,
    exists,
    func,
    literal_column,
    or_,
    select,
)

from service.ledger.storage.personal_tables import BY_OFFICERS
from service.ledger.storage.schema import entries as table


class Filters(NamedTuple):
    """What decisions must have in common; None is no condition.

    `decision` is the final one, where "refer" stands for an open referral. `officer` is a part of
    the name of a person who asked for the decision or recorded something about it. Times are texts
    as in the ledger, from `since` on and before `until`; "" is no limit.
    """

    decision: str | None = None
    rating: str | None = None
    officer: str | None = None
    since: str = ""
    until: str = ""

    def conditions(self, dialect: str) -> list[ColumnElement[bool]]:
        """Return the conditions on a decision, without those on its time."""
        return list(self._conditions(dialect))

    def _conditions(self, dialect: str) -> Iterator[ColumnElement[bool]]:
        if self.decision:
            yield _ends_as(self.decision)
        if self.rating:
            yield func.lower(table.c.rating) == self.rating.lower()
        if self.officer:
            yield _names(self.officer, dialect)


def decision_by_officer() -> ScalarSelect[str]:
    """Return the decision of the override of an entry, NULL where it has none."""
    later = table.alias()
    override = select(later.c.decision).where(
        later.c.refers_to == table.c.id, later.c.kind == "override"
    )
    return override.limit(1).scalar_subquery()


def _ends_as(decision: str) -> ColumnElement[bool]:
    referred = table.c.decision == "refer"
    by_person = and_(referred, func.coalesce(decision_by_officer(), "refer") == decision)
    return by_person if decision == "refer" else or_(table.c.decision == decision, by_person)


def _names(officer: str, dialect: str) -> ColumnElement[bool]:
    later = table.alias("later")
    recorded = exists().where(
        later.c.refers_to == table.c.id,
        later.c.kind.in_(BY_OFFICERS),
        or_(
            _text("later", "author", dialect).icontains(officer, autoescape=True),
            _text("later", "approver", dialect).icontains(officer, autoescape=True),
        ),
    )
    asked = _text(table.name, "caller", dialect, "name").icontains(officer, autoescape=True)
    return or_(asked, recorded)


def _text(of: str, key: str, dialect: str, inner: str = "") -> ColumnElement[str]:
    """Return a text of the recorded content, by its key and the key within that."""
    if dialect == "sqlite":
        path = f"{key}.{inner}" if inner else key
        return literal_column(f"json_extract({of}.payload, '$.{path}')", Text)
    path = f"{key},{inner}" if inner else key
    return literal_column(f"({of}.payload::jsonb #>> '{{{path}}}')", Text)
