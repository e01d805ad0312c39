"""Read a contract from YAML; every error names the file, the line, the key and the problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stages.contract.derived import Check, Derived
from stages.contract.expressions import Ratio, Rule
from stages.contract.fields import Field
from stages.contract.parts import Constraints, Part, ReasonWords
from stages.contract.schema import AVAILABLE, Contract, ContractError, presence
from stages.contract.tables import Dialect, Table
from stages.contract.target import OutcomeWindow, Target

SCALARS = ("bool", "int", "float", "str")


class UnknownDataset(ContractError):
    """There is no contract of a dataset; the message names those that have one."""


def load(dataset: str, root: Path = Path("data")) -> Contract:
    """Read and check `root/<dataset>/contract.yaml`; raises ContractError naming file and line."""
    path = root / dataset / "contract.yaml"
    if not path.exists():
        datasets = sorted(p.parent.name for p in root.glob("*/contract.yaml"))
        raise UnknownDataset(
            f"dataset must be one of {datasets}; got {dataset!r} (no {path})"
            f"{did_you_mean(dataset, datasets)}"
        )
    return read(path.read_text(), str(path))


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return the end of a message that names the allowed word nearest to `word`, or ""."""
    near = get_close_matches(word, list(allowed), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def read(source: str, place: str = "contract.yaml") -> Contract:
    """Parse and check the text of a contract; `place` names the text in errors."""
    try:
        document = yaml.load(source, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ContractError(f"{place}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ContractError(
            f"{place}: a contract is a mapping of tables, target, fields; got {document!r}"
        )
    for keys, problem in duplicate_keys(yaml.compose(source, yaml.CSafeLoader)):
        raise ContractError(locate(place, source, keys, problem))
    try:
        contract = Contract.model_validate(with_names(document))
    except ValidationError as error:
        first = error.errors()[0]
        keys = [str(k) for k in first["loc"]]
        while keys[-1] in SCALARS or "[" in keys[-1]:
            keys.pop()
        raise ContractError(locate(place, source, keys, explain(first))) from error
    for keys, problem in contradictions(contract):
        raise ContractError(locate(place, source, keys, problem))
    return contract


def duplicate_keys(
    node: yaml.Node | None, above: tuple[str, ...] = ()
) -> Iterator[tuple[list[str], str]]:
    """Yield the keys that stand twice in a mapping, of which YAML silently takes the last."""
    seen: set[str] = set()
    for pair in node.value if isinstance(node, yaml.MappingNode) else []:
        key, value = pair
        if key.value in seen:
            yield [*above, key.value], f"stands twice, again in line {key.start_mark.line + 1}"
        seen.add(key.value)
        yield from duplicate_keys(value, (*above, key.value))


def locate(place: str, source: str, keys: list[str], problem: str) -> str:
    """Return `file:line: dotted.path: problem`, with the line of the deepest key that exists."""
    node, line = yaml.compose(source, yaml.CSafeLoader), 0
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        pair = next((p for p in pairs if p[0].value == key), None)
        if pair is None:
            break
        line, node = pair[0].start_mark.line, pair[1]
    return f"{place}:{line + 1}: {'.'.join(keys)}: {problem}"


def with_names(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with a name in every named part and a table in every field."""
    named = dict(document)
    tables = document.get("tables")
    base = next(iter(tables), "") if isinstance(tables, dict) else ""
    for group in ("fields", "derived", "checks"):
        parts = document.get(group) or {}
        if isinstance(parts, dict):
            defaults = {"table": base} if group == "fields" else {}
            named[group] = {
                name: {**defaults, "name": name, **part} if isinstance(part, dict) else part
                for name, part in parts.items()
            }
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict) and table.get("optional") is True and name != base:
            named["fields"] = with_presence(name, table, named.get("fields"))
    return named


def with_presence(name: str, table: dict[str, Any], fields: Any) -> Any:
    """Return the fields with the flag of an optional table, whose values need a row there.

    The flag is a boolean feature, known as early as the table's first field; an entry under
    `fields` may give it another title or reason.
    """
    if not isinstance(fields, dict):
        return fields
    flag, title = presence(name), table.get("title") or name
    parts = {n: f for n, f in fields.items() if isinstance(f, dict) and f.get("table") == name}
    times = [str(f.get("known_at", "application")) for n, f in parts.items() if n != flag]
    order = [*AVAILABLE["pricing"], "outcome"]
    stated = {
        "name": flag,
        "type": "boolean",
        "title": f"{title}: record found",
        "known_at": min(times, key=order.index) if {*times} <= {*order} and times else order[0],
        "constraints": {"required": True},
        "reason": {"categories": {False: f"No record was found ({title})"}},
        "example": True,
    }
    relaxed: dict[str, Any] = {}
    for field, part in parts.items():
        limits = part.get("constraints")
        if field != flag and isinstance(limits, dict) and limits.get("required") is True:
            relaxed[field] = part | {
                "constraints": limits | {"required": False},
                "required_with_table": True,
            }
    return fields | relaxed | {flag: stated | fields.get(flag, {}) | {"table": name}}


def explain(error: ErrorDetails) -> str:
    """Return one of pydantic's errors in words: what is wrong, what is allowed and what came."""
    if error["type"] == "extra_forbidden":
        models: dict[str, type[Part]] = {
            "tables": Table,
            "target": Target,
            "outcome": OutcomeWindow,
            "fields": Field,
            "derived": Derived,
            "checks": Check,
        }
        owner = models.get(str(error["loc"][0]), Contract) if len(error["loc"]) > 1 else Contract
        owner = Constraints if "constraints" in error["loc"] else owner
        owner = ReasonWords if "reason" in error["loc"] else owner
        owner = Dialect if "dialect" in error["loc"] else owner
        allowed = sorted(f.alias or n for n, f in owner.model_fields.items() if n != "name")
        return f"unknown key; allowed are {', '.join(allowed)}"
    got = "" if error["type"] == "missing" else f"; got {error['input']!r}"
    if error["loc"][-1] in SCALARS and "reason" not in error["loc"]:
        return f"must be a text, a number, true or false{got}"
    return f"{error['msg'].removeprefix('Value error, ')}{got}"


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
    yield from _wrong_ratios(contract)
    for name, check in contract.checks.items():
        yield from _wrong_reads(contract, ["checks", name, "rule"], check.rule, Rule.parse)


def _wrong_ratios(contract: Contract) -> Iterator[tuple[list[str], str]]:
    """Yield what is wrong with the names, the reasons and the formulas of derived fields."""
    for name, derived in contract.derived.items():
        if name in contract.fields:
            yield ["derived", name], "a derived field cannot have the name of a field"
        for keys, problem in derived.reason.problems((), (), derived.risk):
            yield ["derived", name, *keys], problem
        place = ["derived", name, "formula"]
        yield from _wrong_reads(contract, place, derived.formula, Ratio.parse)


def _wrong_reads(
    contract: Contract, place: list[str], source: str, parse: Callable[[str], Ratio | Rule]
) -> Iterator[tuple[list[str], str]]:
    """Yield why a formula or a rule cannot be read, and the fields that it may not read."""
    try:
        parsed = parse(source)
    except ValueError as error:
        yield place, str(error)
        return
    if isinstance(parsed, Rule) and parsed.text is not None:
        yield place, f"a check compares numbers; got the text {parsed.text!r}"
    for name in parsed.fields:
        field = contract.fields.get(name)
        if field is None:
            yield place, f"names the field {name!r}, which is not declared under `fields`"
        elif not (field.is_numeric or field.type == "boolean"):
            yield place, f"needs numbers; {name!r} is a {field.type}"
        elif place[0] == "derived" and (field.protected or field.known_at == "outcome"):
            why = "protected" if field.protected else "known only after the outcome"
            yield place, f"a feature may not read {name!r}, which is {why}"
