"""Read a contract from YAML; every error names the file, the line, the key and the problem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stages import files
from stages.contract.contradictions import contradictions
from stages.contract.derived import Aggregate, Check, Derived
from stages.contract.fields.field import Field
from stages.contract.fields.parts import Constraints, ContractPart, ReasonWords
from stages.contract.fields.written_values import allowed_words, did_you_mean
from stages.contract.schema import AVAILABLE, Contract, ContractError, presence
from stages.contract.tables import Dialect, FeatureSource, History, RawTable
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
    return read(files.read_text(path, ContractError), str(path))


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
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
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
            yield [*above, key.value], f"duplicate key, again in line {key.start_mark.line + 1}"
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
    for group in ("fields", "derived", "aggregates", "checks"):
        named[group] = named_parts(document.get(group) or {}, base if group == "fields" else "")
    if isinstance(document.get("history"), dict) and document["history"]:
        named["history"] = {
            name: part | {"fields": named_parts(part.get("fields"), name)}
            if isinstance(part, dict)
            else part
            for name, part in document["history"].items()
        }
        named["fields"] = with_decision_day(document.get("date"), base, named["fields"])
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict) and table.get("optional") is True and name != base:
            named["fields"] = with_presence(name, table, named.get("fields"))
    return named


def named_parts(parts: object, table: str = "") -> object:
    """Return parts by name, each with its name and, where it is given, its table."""
    if not isinstance(parts, dict):
        return parts
    stated = {"table": table} if table else {}
    return {
        name: {**stated, "name": name, **part} if isinstance(part, dict) else part
        for name, part in parts.items()
    }


def with_decision_day(date: object, base: str, fields: object) -> object:
    """Return the fields with the day of the decision, which every request states.

    The lines of a history count up to that day.
    """
    if not isinstance(fields, dict) or not isinstance(date, str):
        return fields
    day = {
        "name": date,
        "table": base,
        "type": "date",
        "title": "Day of the decision",
        "feature": False,
        "constraints": {"required": True},
    }
    stated = fields.get(date, {})
    if isinstance(stated, dict):
        limits = stated.get("constraints") or {}
        stated = stated | {"constraints": limits | {"required": True}}
    return fields | {date: day | stated if isinstance(stated, dict) else stated}


def with_presence(name: str, table: dict[str, Any], fields: object) -> object:
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
        models: dict[str, type[ContractPart]] = {
            "tables": RawTable,
            "target": Target,
            "outcome": OutcomeWindow,
            "fields": Field,
            "history": History,
            "aggregates": Aggregate,
            "derived": Derived,
            "checks": Check,
        }
        owner = models.get(str(error["loc"][0]), Contract) if len(error["loc"]) > 1 else Contract
        owner = Field if "fields" in error["loc"][1:] else owner
        owner = Constraints if "constraints" in error["loc"] else owner
        owner = ReasonWords if "reason" in error["loc"] else owner
        owner = Dialect if "dialect" in error["loc"] else owner
        owner = FeatureSource if "source" in error["loc"][1:-1] else owner
        allowed = sorted(f.alias or n for n, f in owner.model_fields.items() if n != "name")
        near = did_you_mean(str(error["loc"][-1]), allowed)
        return f"unknown key; allowed are {', '.join(allowed)}{near}"
    got = "" if error["type"] == "missing" else f"; got {error['input']!r}"
    if error["loc"][-1] in SCALARS and "reason" not in error["loc"]:
        return f"must be a text, a number, true or false{got}"
    near = did_you_mean(str(error["input"]), allowed_words(error))
    return f"{error['msg'].removeprefix('Value error, ')}{got}{near}"
