"""Generate the reference pages and the JSON Schemas for editors: `python docs/reference.py`.

It writes `docs/reference/{contract,params,model-file,settings}.md` from the models that check those
files, and `docs/schemas/*.schema.json`, by which an editor checks a `contract.yaml` or
`params.yaml` while it is written.
"""

from __future__ import annotations

import json
import re
import types
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service import settings
from stages import params
from stages.contract.schema import Contract
from stages.models import registry
from stages.models.document import Document

EDITOR = (
    "Your editor checks it with `# yaml-language-server: $schema={}.schema.json` in its first line."
)
MODEL_FILE = (
    "`models/winner.json`, which `evaluate` writes, and which the service, batches, replays, the "
    "image and the gate read. It is JSON of numbers and texts, so reading it executes nothing. "
    "`evaluate` writes it only where it gives every test row and golden record the PD of the "
    "joblib file, to the last bit. A reader checks every length, index and number first, and says "
    "in one line what is wrong. In an image its SHA-256 stands in `models/manifest.json`, in a "
    "checkout its MD5 in `dvc.lock`; bytes that are not those are refused before they are parsed."
)
PARAMS = params.model_with_candidates(registry.names())
ROOT = Path(__file__).parents[1]
SCHEMAS, PAGES = ROOT / "docs/schemas", ROOT / "docs/reference"
# What the reader of a contract adds itself: a file never holds these keys.
ADDED = {
    "Field": {"name", "required_with_table"},
    "Derived": {"name"},
    "Check": {"name"},
    # An aggregate is a field that no file has, so what says how a file writes it has no meaning.
    "Aggregate": {
        *("name", "required_with_table", "table", "column", "type", "format", "decimal_char"),
        *("group_char", "bare_number", "missing_values", "true_values", "false_values", "repair"),
        *("ordered", "other", "constraints", "actionable", "step", "example", "protected"),
    },
}


def pages() -> dict[str, str]:
    """Return the text of each generated page, by its name."""
    return {
        "contract": page(
            "Contract",
            "`data/<dataset>/contract.yaml`. " + EDITOR.format("../../docs/schemas/contract"),
            Contract,
        ),
        "params": page(
            "Parameters",
            "`params.yaml`. " + EDITOR.format("docs/schemas/params"),
            PARAMS,
        ),
        "model-file": page("Model file", MODEL_FILE, Document),
        "settings": "# Settings\n\nEnvironment variables of the service. An impossible value ends "
        "the start with its name and what is allowed.\n\n" + settings.table() + "\n",
    }


def page(title: str, introduction: str, root: type[BaseModel]) -> str:
    """Return one page: a table of keys for each model, the root first."""
    tables = sections(root, "", set())
    return "\n".join([f"# {title}", "", introduction, "", *tables]) + "\n"


def sections(model: type[BaseModel], place: str, described: set[type[BaseModel]]) -> list[str]:
    """Return the section of a model and of those that its keys hold, each model once."""
    described.add(model)
    documentation = " ".join((model.__doc__ or "").split())
    lines = [f"## `{place}`", ""] if place else []
    lines += [documentation, "", "| key | allowed | default | what it is |", "|---|---|---|---|"]
    inner: list[str] = []
    for name, field in keys(model):
        lines.append(f"| `{name}` | {allowed(field)} | {default(field)} | {meaning(field)} |")
        for part in models_of(field.annotation):
            if part not in described:
                inner += ["", *sections(part, f"{place}.{name}" if place else name, described)]
    return lines + inner


def keys(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """Return the keys of a section as a file writes them."""
    added = ADDED.get(model.__name__, set())
    return [(f.alias or n, f) for n, f in model.model_fields.items() if n not in added]


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """Return the models within a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_of(part)]


def allowed(field: FieldInfo) -> str:
    """Return what a key may hold, in words."""
    bounds = [limit for part in field.metadata for limit in limits(part)]
    return " ".join([words(field.annotation), *bounds]).replace("|", "\\|")


def limits(part: Any) -> list[str]:
    """Return the bounds of a number or the length of a list, in words."""
    names = {"ge": "from", "gt": "above", "le": "to", "lt": "below", "min_length": "of at least"}
    limits = ((word, getattr(part, name, None)) for name, word in names.items())
    return [f"{word} {value}" for word, value in limits if value is not None]


def words(annotation: Any) -> str:  # noqa: PLR0911  (one return per kind of type)
    """Return a type in words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        if {bool, int, float, str} <= set(parts):
            rest = [words(p) for p in parts if p not in (bool, int, float, str)]
            return " or ".join(["text, number or true/false", *rest])
        return " or ".join(words(part) for part in parts)
    if origin is list:
        return "list, see below" if models_of(parts[0]) else f"list of {words(parts[0])}"
    if origin is dict:
        return f"mapping of {words(parts[1])}" if models_of(parts[1]) else "mapping"
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is Annotated:
        bounds = (m for p in parts[1:] for m in (p.metadata if isinstance(p, FieldInfo) else [p]))
        return " ".join([words(parts[0]), *(limit for bound in bounds for limit in limits(bound))])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "see below"
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any"}
    plain[date] = "date"
    return plain.get(annotation, "`null`" if annotation is type(None) else str(annotation))


def default(field: FieldInfo) -> str:
    """Return the default of a key, empty where it must be given."""
    value = field.get_default(call_default_factory=True) if not field.is_required() else None
    if field.is_required():
        return "(required)"
    if value in (None, "", [], {}) or isinstance(value, BaseModel):
        return ""
    return f"`{json.dumps(value)}`"


def meaning(field: FieldInfo) -> str:
    """Return what a key means, as its model says it."""
    return " ".join((field.description or "").split()).replace("|", "\\|")


def schemas() -> dict[str, str]:
    """Return the JSON Schema of each file that people write, by its name."""
    made = {"contract": contract_schema(), "params": PARAMS.model_json_schema()}
    return {name: json.dumps(schema, indent=1) + "\n" for name, schema in made.items()}


def contract_schema() -> dict[str, Any]:
    """Return the schema of a contract as a file holds it: without what its reader adds."""
    schema = Contract.model_json_schema(by_alias=True)
    for name, names in ADDED.items():
        properties = schema["$defs"][name]["properties"]
        for key in names:  # a schema has a key as a file writes it: `groupChar`
            del properties[key if key in properties else re.sub("_(.)", upper, key)]
    return schema


def upper(match: re.Match[str]) -> str:
    """Return the letter behind an underscore as a capital."""
    return match[1].upper()


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (SCHEMAS / f"{name}.schema.json").write_text(text)
    for name, text in pages().items():
        (PAGES / f"{name}.md").write_text(text)
