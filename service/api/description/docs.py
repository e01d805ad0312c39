"""Render the OpenAPI description as an HTML page without scripts and without other hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

Description = dict[str, Any]
"""A part of an OpenAPI document as a JSON object."""
TEMPLATE = Path(__file__).with_name("docs.html")
ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATE.parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


class DocumentedField(NamedTuple):
    """One field of a JSON object."""

    name: str
    type: str
    required: bool
    title: str
    description: str


class Operation(NamedTuple):
    """One method of one path."""

    id: str
    method: str
    path: str
    summary: str
    parameters: list[Description]
    body: str
    example: str
    answers: list[tuple[str, str, str]]


def render(document: Description) -> bytes:
    """Return an OpenAPI description as an HTML page in UTF-8."""
    schemas = document["components"]["schemas"]
    page = ENVIRONMENT.get_template(TEMPLATE.name).render(
        info=document["info"],
        key_needed="security" in document,
        operations=list(_operations(document["paths"])),
        schemas={name: (s.get("description", ""), _rows(s)) for name, s in schemas.items()},
    )
    return page.encode()


def _operations(paths: Description) -> Iterator[Operation]:
    for path, methods in paths.items():
        for method, described in methods.items():
            body = described.get("requestBody", {}).get("content", {}).get("application/json", {})
            example = body.get("example")
            yield Operation(
                id=f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""),
                method=method.upper(),
                path=path,
                summary=described["summary"],
                parameters=described.get("parameters", []),
                body=type_name(body["schema"]) if body else "",
                example=json.dumps(example, indent=2, ensure_ascii=False) if body else "",
                answers=[
                    (code, answer["description"], _answer_type(answer))
                    for code, answer in described["responses"].items()
                ],
            )


def _answer_type(answer: Description) -> str:
    ((media_type, content),) = answer["content"].items()
    words = type_name(content["schema"])
    return words if media_type.endswith("json") else media_type


def _rows(schema: Description) -> list[DocumentedField]:
    required = schema.get("required", [])
    return [
        DocumentedField(
            name,
            type_name(part),
            name in required,
            part.get("title", ""),
            part.get("description", ""),
        )
        for name, part in schema.get("properties", {}).items()
    ]


def type_name(schema: Description) -> str:
    """Return the values that a JSON schema allows, in words such as "number from 0 to 1"."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(type_name, schema["anyOf"])))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(json.dumps(value, ensure_ascii=False) for value in values)
    name = schema.get("type", "any value")
    if name == "array":
        return f"list of {type_name(schema.get('items', {}))}"
    return " ".join([str(name), *_bounds(schema)])


def _bounds(schema: Description) -> Iterator[str]:
    for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "of at most")):
        if key in schema:
            yield f"{word} {schema[key]:.15g}"
    if "maxLength" in schema:
        yield "characters"
    if "pattern" in schema:
        yield f"like {schema['pattern']}"
