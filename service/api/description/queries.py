"""Describe the parameters of the queries of lists in OpenAPI."""

from __future__ import annotations

from collections.abc import Iterable

from service.api.description.operations import Description

Query = tuple[str, Description, str]
"""The name, the schema and the description of a parameter."""
DAY = {"type": "string", "format": "date"}
PAGE_QUERY: tuple[Query, ...] = (
    (
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
        "The largest number of entries to list",
    ),
    ("before", {"type": "integer", "minimum": 1}, "List only entries before this sequence number"),
    ("search", {"type": "string"}, "List only decisions that contain each of these words"),
    (
        "reference",
        {"type": "string", "maxLength": 64},
        "List only decisions of the case with this reference",
    ),
)
FILTER_QUERY: tuple[Query, ...] = (
    (
        "decision",
        {"type": "string", "enum": ["approve", "refer", "decline"]},
        "List only decisions that ended so; refer: nobody has decided yet",
    ),
    ("rating", {"type": "string"}, "List only decisions with this rating"),
    ("officer", {"type": "string"}, "List only what a person with this in their name worked on"),
    ("since", DAY, "List only decisions of this day (UTC) and later ones"),
    ("until", DAY, "List only decisions of this day (UTC) and earlier ones"),
)
QUEUE_QUERY: tuple[Query, ...] = (
    PAGE_QUERY[0],
    ("after", {"type": "integer", "minimum": 1}, "List only entries after this sequence number"),
    PAGE_QUERY[2],
    *FILTER_QUERY[1:],
)


def as_parameters(queries: Iterable[Query]) -> list[Description]:
    """Return parameters of a query as OpenAPI describes them."""
    return [{"name": n, "in": "query", "schema": s, "description": d} for n, s, d in queries]
