"""Write the definitions of Feast's feature views from a contract's histories.

A view has one feature, `lines`: all lines of a key that were known at a load, as a text of JSON,
with the time of the load. Nothing of Feast is imported here: it has an environment of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from stages.contract.schema import Contract, ContractError
from stages.contract.tables import FeatureSource

HEADER = '''"""Feature views of the histories of {title}, by `python -m stages.contract feast`."""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import String
'''
ENTITY = """
{name} = Entity(name="{name}", join_keys=["{name}"], value_type=ValueType.STRING)
"""
# The source is a file as an example: a warehouse's table has the same columns.
VIEW = """
{view} = FeatureView(
    name="{view}",
    entities=[{entities}],
    ttl=timedelta(seconds={seconds}),  # {max_age}
    schema=[{fields}Field(name="lines", dtype=String)],
    source=FileSource(path="data/{view}.parquet", timestamp_field="loaded_at"),
)
"""


def definitions(contract: Contract, dataset: str) -> str:
    """Return the text of a Python file for `feast apply`; ContractError where none is asked for."""
    views = [*_views(contract)]
    if not views:
        raise ContractError(f"{dataset}: no history has `source: {{kind: feast, ...}}`")
    keys = dict.fromkeys(key for _, asked_by, _ in views for key in asked_by)
    parts = [HEADER.format(title=dataset), *(ENTITY.format(name=key) for key in keys)]
    for view, asked_by, source in views:
        parts.append(
            VIEW.format(
                view=view,
                entities=", ".join(asked_by),
                seconds=round(source.oldest.total_seconds()),
                max_age=source.max_age,
                fields="".join(f'Field(name="{key}", dtype=String), ' for key in asked_by),
            )
        )
    return "".join(parts)


def _views(contract: Contract) -> Iterator[tuple[str, list[str], FeatureSource]]:
    for history in contract.history.values():
        if history.source and history.source.kind == "feast":
            yield history.source.table, history.asked_by, history.source
