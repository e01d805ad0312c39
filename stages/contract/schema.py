"""The data contract: one description of a loan book, from which everything else follows.

Validation of training rows, the request model of the service, the features, the form of the page,
the drift reference and the texts of the reasons are all made from `data/<dataset>/contract.yaml`.
The words follow Frictionless Table Schema where it has one (`type`, `constraints`, `title`,
`missingValues`, `trueValues`, `falseValues`).

For people: `python -m stages.contract check | draft` (see `--help`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as Key

from stages.contract.expressions import Ratio, Rule

Scalar = bool | int | float | str
Mode = Literal["application", "pricing"]
SCALARS = ("bool", "int", "float", "str")
CATEGORIES = {"string": (str,), "integer": (int,), "number": (int, float)}
AVAILABLE = {"application": ("application",), "pricing": ("application", "pricing")}


class ContractError(ValueError):
    """A contract, or data held against it, is wrong; the message names place, rule and value."""


class Part(BaseModel):
    """A part of the contract: immutable, and no key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Table(Part):
    """A raw file; the first table has a row a loan, the others are joined to it (many to one)."""

    path: str
    title: str = ""
    key: str | None = None
    join: str | None = None


class Target(Part):
    """The outcome column and the raw values that mean bad (1) and good (0).

    Loans that are neither yet (`indeterminate`: still running, say) take no part.
    """

    field: str
    bad: Scalar | list[Scalar]
    good: Scalar | list[Scalar]
    indeterminate: list[Scalar] = []
    known_at: Literal["outcome"] = "outcome"

    @cached_property
    def words(self) -> tuple[list[str], list[str]]:
        """Raw texts of the column that mean good, and those that mean bad."""
        good, bad = (v if isinstance(v, list) else [v] for v in (self.good, self.bad))
        return [text(v) for v in good], [text(v) for v in bad]

    @cached_property
    def codes(self) -> dict[str, int]:
        """Raw text of the column → 1 for bad, 0 for good."""
        good, bad = self.words
        return dict.fromkeys(good, 0) | dict.fromkeys(bad, 1)

    def problems(self) -> Iterator[tuple[list[str], str]]:
        """What is wrong within the target: the key and the problem."""
        good, bad = self.words
        for key, values in (("good", good), ("bad", bad)):
            if not values:
                yield [key], "needs at least one raw value"
        for value in sorted(set(good) & set(bad)):
            yield ["good"], f"{value!r} means bad too"
        for value in map(text, self.indeterminate):
            if value in self.codes:
                yield ["indeterminate"], f"{value!r} means bad or good too"


class Constraints(Part):
    """What a value may be."""

    minimum: float | None = None
    maximum: float | None = None
    enum: list[Scalar] | None = Key(default=None, min_length=1)
    required: bool = False


class Field(Part):
    """One column of the raw tables, and one field of an application."""

    name: str = ""
    table: str = ""
    type: Literal["integer", "number", "boolean", "string", "date"]
    title: str = ""
    help: str = ""
    unit: str = ""
    constraints: Constraints = Constraints()
    missing_values: list[Scalar] = Key(default=[], alias="missingValues")
    true_values: list[Scalar] = Key(default=[], alias="trueValues")
    false_values: list[Scalar] = Key(default=[], alias="falseValues")
    repair: dict[Scalar, Scalar] = {}
    known_at: Literal["application", "pricing", "outcome"] = "application"
    protected: bool = False
    feature: bool = True
    ordered: bool = False
    risk: Literal["increasing", "decreasing"] | None = None
    actionable: Literal["increase", "decrease", "any"] | None = None
    reason: str = ""
    example: Scalar | None = None

    @property
    def is_category(self) -> bool:
        """Whether the field is encoded by its place in `constraints.enum`."""
        return self.constraints.enum is not None

    @property
    def is_feature(self) -> bool:
        """Whether a model may ever use the field itself."""
        encodable = self.is_category or self.type in ("integer", "number", "boolean")
        return encodable and self.feature and not self.protected and self.known_at != "outcome"

    @property
    def is_boolean(self) -> bool:
        """Whether the field is encoded as 0 or 1."""
        return self.type == "boolean" and not self.is_category

    @property
    def is_numeric(self) -> bool:
        """Whether the field is encoded as the number it is."""
        return self.type in ("integer", "number") and not self.is_category

    @cached_property
    def codes(self) -> dict[Any, float]:
        """Every value a category or boolean may be written as → its code; empty for numbers."""
        if self.is_category:
            return {v: float(i) for i, v in enumerate(self.constraints.enum or [])}
        if self.type == "boolean":
            words = dict.fromkeys(self.false_values, 0.0) | dict.fromkeys(self.true_values, 1.0)
            return {False: 0.0, True: 1.0} | words
        return {}

    def problems(self, tables: Mapping[str, Table]) -> Iterator[tuple[list[str], str]]:
        """What is wrong within the field: the key and the problem."""
        if self.table not in tables:
            yield ["table"], f"must be one of {sorted(tables)}; got {self.table!r}"
        if self.constraints.enum is not None:
            yield from self._wrong_categories(self.constraints.enum)
        elif "enum" in self.constraints.model_fields_set:
            yield ["constraints", "enum"], "a list of categories needs at least one; got none"
        if self.type == "string" and self.constraints.enum is None and self.feature:
            yield [], "a string needs `constraints: {enum: [...]}`, or `feature: false`"
        for word in set(map(text, self.true_values)) & set(map(text, self.false_values)):
            yield ["falseValues"], f"{word!r} is one of `trueValues` too"
        low, high = self.constraints.minimum, self.constraints.maximum
        if (low, high) != (None, None) and not self.is_numeric:
            yield ["constraints"], "only numbers have a minimum and a maximum"
        if low is not None and high is not None and low > high:
            yield ["constraints"], f"minimum {low} is above maximum {high}"
        if self.ordered and not self.is_category:
            yield ["ordered"], "only categories (`constraints: {enum: [...]}`) can be ordered"
        if self.risk and self.is_category and not self.ordered:
            yield ["risk"], "needs `ordered: true`: unordered categories have no direction"
        if self.protected and self.actionable:
            yield ["actionable"], "a protected attribute is never actionable"
        for right in self.repair.values():
            if self.is_category and right not in self.codes:
                yield ["repair"], f"{right!r} is none of the categories {self.constraints.enum}"

    def _wrong_categories(self, enum: list[Scalar]) -> Iterator[tuple[list[str], str]]:
        """Categories of another type than the field, or written twice."""
        kinds = CATEGORIES.get(self.type)
        for value in enum:
            if kinds and (isinstance(value, bool) or not isinstance(value, kinds)):
                quotes = "; write it in quotes" if self.type == "string" else ""
                problem = f"{value!r} is no {self.type}, as `type` says{quotes}"
                yield ["constraints", "enum"], problem
        words = [text(value) for value in enum]
        for word in sorted({w for w in words if words.count(w) > 1}):
            yield ["constraints", "enum"], f"{word!r} is written twice"


class Derived(Part):
    """A ratio of fields: `formula`, and the value it has when its denominator is 0."""

    name: str = ""
    title: str = ""
    unit: str = ""
    formula: str
    when_empty: float | None = None
    stated_as: str | None = None
    tolerance: float = 0.01
    risk: Literal["increasing", "decreasing"] | None = None
    reason: str = ""

    @cached_property
    def ratio(self) -> Ratio:
        """The parsed formula."""
        return Ratio.parse(self.formula)


class Check(Part):
    """A rule between fields; it holds where a side is missing."""

    name: str = ""
    rule: str
    message: str

    @cached_property
    def parsed(self) -> Rule:
        """The parsed rule."""
        return Rule.parse(self.rule)


class Contract(Part):
    """A whole contract; `load` reads and checks it."""

    title: str = ""
    description: str = ""
    tables: dict[str, Table] = Key(min_length=1)
    target: Target
    date: str | None = None
    fields: dict[str, Field] = Key(min_length=1)
    derived: dict[str, Derived] = {}
    checks: dict[str, Check] = {}

    def inputs(self, mode: Mode) -> list[Field]:
        """The fields a model in this mode reads, in the contract's order."""
        read = {f.name for f in self.feature_fields(mode)}
        read.update(name for d in self.feature_ratios(mode) for name in d.ratio.fields)
        return [f for f in self.fields.values() if f.name in read]

    def feature_fields(self, mode: Mode) -> list[Field]:
        """The fields that are features themselves."""
        return [f for f in self.fields.values() if f.known_at in AVAILABLE[mode] and f.is_feature]

    def feature_ratios(self, mode: Mode) -> list[Derived]:
        """The derived features whose fields are all known by `mode`."""
        known = {f.name for f in self.fields.values() if f.known_at in AVAILABLE[mode]}
        return [d for d in self.derived.values() if known.issuperset(d.ratio.fields)]

    @property
    def protected(self) -> list[Field]:
        """The protected attributes: recorded for fairness, never a model input."""
        return [f for f in self.fields.values() if f.protected]

    @property
    def base_table(self) -> str:
        """The name of the table with a row a loan."""
        return next(iter(self.tables))


def text(value: Any) -> str:
    """Write a scalar as a raw file would: 1.0 as 1, True as true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def load(dataset: str, root: Path = Path("data")) -> Contract:
    """Read and check `root/<dataset>/contract.yaml`; raises ContractError naming file and line."""
    path = root / dataset / "contract.yaml"
    if not path.exists():
        known = sorted(p.parent.name for p in root.glob("*/contract.yaml"))
        raise ContractError(f"dataset must be one of {known}; got {dataset!r} (no {path})")
    return read(path.read_text(), str(path))


def read(source: str, place: str = "contract.yaml") -> Contract:
    """Parse and check the text of a contract; `place` names it in errors."""
    try:
        document = yaml.load(source, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ContractError(f"{place}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ContractError(
            f"{place}: a contract is a mapping of tables, target, fields; got {document!r}"
        )
    for keys, problem in repeated(yaml.compose(source, yaml.CSafeLoader)):
        raise ContractError(locate(place, source, keys, problem))
    try:
        contract = Contract.model_validate(with_names(document))
    except ValidationError as error:
        first = error.errors()[0]
        keys = [str(k) for k in first["loc"]]
        if keys[-1] in SCALARS:
            keys.pop()
        raise ContractError(locate(place, source, keys, explain(first))) from error
    for keys, problem in contradictions(contract):
        raise ContractError(locate(place, source, keys, problem))
    return contract


def repeated(node: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[list[str], str]]:
    """Keys that stand twice in a mapping: YAML takes the last without a word."""
    seen: set[str] = set()
    for pair in node.value if isinstance(node, yaml.MappingNode) else []:
        key, value = pair
        if key.value in seen:
            yield [*above, key.value], f"stands twice, again in line {key.start_mark.line + 1}"
        seen.add(key.value)
        yield from repeated(value, (*above, key.value))


def with_names(document: dict[str, Any]) -> dict[str, Any]:
    """Give every named part its own name, and every field the base table unless it says another."""
    out = dict(document)
    tables = document.get("tables")
    base = next(iter(tables), "") if isinstance(tables, dict) else ""
    for group in ("fields", "derived", "checks"):
        parts = document.get(group) or {}
        if isinstance(parts, dict):
            own = {"table": base} if group == "fields" else {}
            out[group] = {
                name: {**own, "name": name, **part} if isinstance(part, dict) else part
                for name, part in parts.items()
            }
    return out


def explain(error: Any) -> str:
    """One pydantic error in words: what is wrong and what is allowed."""
    if error["type"] == "extra_forbidden":
        models: dict[str, type[Part]] = {
            "tables": Table,
            "target": Target,
            "fields": Field,
            "derived": Derived,
            "checks": Check,
        }
        owner = models.get(str(error["loc"][0]), Contract) if len(error["loc"]) > 1 else Contract
        owner = Constraints if "constraints" in error["loc"] else owner
        allowed = sorted(f.alias or n for n, f in owner.model_fields.items() if n != "name")
        return f"unknown key; allowed are {', '.join(allowed)}"
    got = "" if error["type"] == "missing" else f"; got {error['input']!r}"
    if error["loc"][-1] in SCALARS:
        return f"must be a text, a number, true or false{got}"
    return f"{error['msg']}{got}"


def locate(place: str, source: str, keys: list[str], problem: str) -> str:
    """`file:line: dotted.path: problem`, with the line of the deepest key that is there."""
    node, line = yaml.compose(source, yaml.CSafeLoader), 0
    for key in keys:
        found = [
            p for p in getattr(node, "value", []) if isinstance(p, tuple) and p[0].value == key
        ]
        if not found:
            break
        line, node = found[0][0].start_mark.line, found[0][1]
    return f"{place}:{line + 1}: {'.'.join(keys)}: {problem}"


def contradictions(contract: Contract) -> Iterator[tuple[list[str], str]]:
    """What is wrong between the parts of a contract: the place and the problem."""
    fields, tables = contract.fields, contract.tables
    for name, table in tables.items():
        if name != contract.base_table and (table.join is None or table.key is None):
            yield ["tables", name], "a joined table needs `key` (its own) and `join` (of the first)"
    for name, field in fields.items():
        yield from ((["fields", name, *keys], problem) for keys, problem in field.problems(tables))
    yield from ((["target", *keys], problem) for keys, problem in contract.target.problems())
    if contract.target.field in fields:
        yield ["fields", contract.target.field], "the target is declared under `target` alone"
    if contract.date in fields and fields[contract.date].type != "date":
        yield ["date"], f"must be a date; {contract.date!r} is a {fields[contract.date].type}"
    for name, derived in contract.derived.items():
        if name in fields:
            yield ["derived", name], "a derived field cannot have the name of a field"
        yield from _reads(contract, ["derived", name, "formula"], derived.formula, Ratio.parse)
    for name, check in contract.checks.items():
        yield from _reads(contract, ["checks", name, "rule"], check.rule, Rule.parse)


def _reads(
    contract: Contract, place: list[str], source: str, parse: Callable[[str], Ratio | Rule]
) -> Iterator[tuple[list[str], str]]:
    """Whether a formula or a rule can be read, and reads only fields it may."""
    try:
        names = parse(source).fields
    except ValueError as error:
        yield place, str(error)
        return
    for name in names:
        field = contract.fields.get(name)
        if field is None:
            yield place, f"names the field {name!r}, which is not declared under `fields`"
        elif not (field.is_numeric or field.type == "boolean"):
            yield place, f"needs numbers; {name!r} is a {field.type}"
        elif place[0] == "derived" and (field.protected or field.known_at == "outcome"):
            why = "protected" if field.protected else "known only after the outcome"
            yield place, f"a feature may not read {name!r}, which is {why}"
