"""Read CloudFormation templates as plain data, in which `!Sub x` is {"Fn::Sub": x}."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

INFRA = Path(__file__).parents[2] / "release/deploy/infra"
TEMPLATES = sorted(INFRA.glob("*.yaml"))


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions."""


def _function(loader: Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    kinds = {
        yaml.SequenceNode: loader.construct_sequence,
        yaml.MappingNode: loader.construct_mapping,
    }
    make = kinds.get(type(node), loader.construct_scalar)
    deep = {} if isinstance(node, yaml.ScalarNode) else {"deep": True}
    return {name if name == "Ref" else f"Fn::{name}": make(node, **deep)}


Loader.add_multi_constructor("!", _function)


def load(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), Loader)  # noqa: S506 - a SafeLoader


def resources(resource_type: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name (FILE/NAME) and the properties of every resource of a type."""
    for path in TEMPLATES:
        for name, held in load(path)["Resources"].items():
            if held["Type"] == resource_type:
                yield f"{path.stem}/{name}", held.get("Properties", {})


def only(resource_type: str) -> dict[str, Any]:
    """Return the properties of the only resource of a type."""
    [(_, properties)] = resources(resource_type)
    return properties
