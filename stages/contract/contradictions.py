"""Find the contradictions within a contract whose keys and types are right."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from stages.contract.derived import Aggregate, Check, Derived
from stages.contract.expressions import syntax
from stages.contract.fields.field import Field
from stages.contract.fields.written_values import did_you_mean
from stages.contract.schema import Contract


def contradictions(contract: Contract) -> Iterator[tuple[list[str], str]]:
    """Yield each contradiction between parts of a contract: the keys of its place, the problem."""
    fields, tables = contract.fields, contract.tables
    for name, table in tables.items():
        first = name == contract.base_table
        yield from ((["tables", name, *keys], problem) for keys, problem in table.problems(first))
        above = list(tables)[: list(tables).index(name)]
        for join in () if first else table.joins:
            if contract.place(join)[0] not in above:
                yield ["tables", name, "join"], f"{join!r} must be of a table above: {above}"
    for name, field in fields.items():
        if field.table not in tables:
            problem = f"must be one of {sorted(tables)}; got {field.table!r}"
            yield ["fields", name, "table"], problem
        yield from ((["fields", name, *keys], problem) for keys, problem in field.problems())
    yield from ((["target", *keys], problem) for keys, problem in contract.target.problems())
    for name, field in fields.items():
        if contract.target.field == (name if field.table != contract.base_table else field.source):
            yield ["fields", name], "the target is declared under `target` alone"
        links = [contract.place(join) for table in tables.values() for join in table.joins]
        taken = [*tables[field.table].keys, *(c for t, c in links if t == field.table)]
        if field.column not in ("", name) and name in taken:
            yield ["fields", name], f"is the name of a key of {field.table!r}: choose another"
    if contract.date in fields and fields[contract.date].type != "date":
        yield ["date"], f"must be a date; {contract.date!r} is a {fields[contract.date].type}"
    if contract.exposure and (
        contract.exposure not in fields or not fields[contract.exposure].is_numeric
    ):
        yield ["exposure"], f"must be a number among `fields`; got {contract.exposure!r}"
    if contract.outcome and not contract.date:
        yield ["outcome"], "needs `date`, from which its months are counted"
    yield from _wrong_history(contract)
    yield from _wrong_derived(contract)
    yield from _wrong_checks(contract)


def _wrong_history(contract: Contract) -> Iterator[tuple[list[str], str]]:
    """Yield what is wrong with the histories and their aggregates."""
    if contract.history and not contract.date:
        yield ["history"], "needs `date`: only lines before the day of the decision count"
    day = contract.fields.get(contract.date or "")
    if contract.history and day and day.known_at != "application":
        yield ["fields", day.name, "known_at"], "the lines of a history count up to it: known first"
    for name, history in contract.history.items():
        yield from ((["history", name, *keys], problem) for keys, problem in history.problems())
        for join in history.joins:
            if contract.place(join)[0] not in contract.tables:
                problem = f"{join!r} must be of one of the tables {list(contract.tables)}"
                yield ["history", name, "join"], problem
        if name in {*contract.fields, *contract.tables}:
            yield ["history", name], "is the name of a field or a table too"
    for name, aggregate in contract.aggregates.items():
        for keys, problem in _wrong_aggregate(contract, aggregate):
            yield ["aggregates", name, *keys], problem


def _wrong_aggregate(contract: Contract, part: Aggregate) -> Iterator[tuple[list[str], str]]:
    """Yield what is wrong with an aggregate of a history: the keys of its place, the problem."""
    yield from part.problems()
    if part.name in contract.fields:
        yield [], "an aggregate cannot have the name of a field"
    if part.of not in contract.history:
        yield ["of"], f"must be one of `history` {list(contract.history)}; got {part.of!r}"
        return
    fields = contract.history[part.of].fields
    wanted = part.take not in ("count", "share", "months_since")
    if wanted != bool(part.field):
        must = "needs a `field` of the lines" if wanted else "takes lines: leave `field` out"
        yield ["field"], f"`take: {part.take}` {must}"
    elif wanted and part.field not in fields:
        yield ["field"], f"must be one of {list(fields)}; got {part.field!r}"
    elif wanted and part.take != "distinct" and not fields[part.field].is_numeric:
        yield ["field"], f"must be a number for `take: {part.take}`"
    if part.take == "share" and not part.where:
        yield ["where"], "`take: share` needs a rule: of the lines, the share for which it holds"
    if problem := _bind(part, fields):
        yield ["where"], problem


def _wrong_derived(contract: Contract) -> Iterator[tuple[list[str], str]]:
    """Yield what is wrong with the names, the reasons and the formulas of derived fields."""
    readable: dict[str, Field | None] = {**contract.columns}
    for name, derived in contract.derived.items():
        if name in contract.columns:
            yield ["derived", name], "a derived field cannot have the name of a field"
        for keys, problem in derived.reason.problems((), (), derived.risk):
            yield ["derived", name, *keys], problem
        problem = next(_wrong_names(contract, derived.formula, readable), "")
        problem = problem or next(_wrong_sources(contract, derived.formula), "")
        problem = problem or _bind(derived, readable)
        if problem:
            yield ["derived", name, "formula"], problem
        readable[name] = None


def _wrong_checks(contract: Contract) -> Iterator[tuple[list[str], str]]:
    """Yield what is wrong with the rules between fields."""
    for name, check in contract.checks.items():
        problem = next(_wrong_names(contract, check.rule, contract.fields), "")
        if problem := problem or _bind(check, contract.fields):
            yield ["checks", name, "rule"], problem


def _wrong_names(contract: Contract, source: str, readable: Collection[str]) -> Iterator[str]:
    """Yield why an expression cannot be read, or the names that it may not read."""
    try:
        names = syntax.parse(source).names
    except ValueError as error:
        yield str(error)
        return
    for name in names:
        if name in readable:
            continue
        if name in contract.derived:
            yield f"names {name!r}, which must stand above it among `derived`"
        near = did_you_mean(name, readable)
        yield f"names the field {name!r}, which is not declared under `fields`{near}"


def _wrong_sources(contract: Contract, source: str) -> Iterator[str]:
    """Yield the fields that a feature may not read."""
    for name in syntax.parse(source).names:
        field = contract.fields.get(name)
        if field and (field.protected or field.known_at == "outcome"):
            why = "protected" if field.protected else "known only after the outcome"
            yield f"a feature may not read {name!r}, which is {why}"


def _bind(part: Derived | Check | Aggregate, readable: Mapping[str, Field | None]) -> str:
    """Read a formula or a rule for the fields, and return why it cannot be read, or ""."""
    try:
        part.bind(readable)
    except ValueError as error:
        return str(error)
    return ""
