"""List what is in an image as a CycloneDX bill of materials: model, data and packages.

The model's component has a model card: parameters, figures with their intervals, and groups. It is
read from the files in the image, so it describes what is deployed and nothing else.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import yaml

from release.deploy.host.attestation import MODEL

PREDICATE = "https://cyclonedx.org/bom"
PARAMETERS, LOCK, PACKAGES = "params.yaml", "dvc.lock", "requirements/service.txt"
FILES = ("models", PARAMETERS, LOCK, PACKAGES)
EVALUATION = "models/evaluation.json"
DATA = ("raw", "prepared")  # folders of a dataset
USE = "Estimate the probability of default of an application for a loan, for a lender's policy"
LIMITS = "Figures are those of the test rows; they say nothing about other books or other times"


def describe(image: str, contents: dict[str, bytes], made: datetime) -> dict[str, Any]:
    """Return the bill of materials of REPOSITORY@DIGEST with these files in it."""
    repository, _, digest = image.rpartition("@")
    data = list(datasets(contents))
    learned = model(contents, [each["bom-ref"] for each in data])
    packages = list(libraries(contents[PACKAGES].decode()))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, image).urn,
        "version": 1,
        "metadata": {
            "timestamp": made.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": repository,
                "version": digest,
            },
        },
        "components": [learned, *data, *packages],
        "dependencies": [
            {"ref": image, "dependsOn": [each["bom-ref"] for each in (learned, *packages)]},
            {"ref": learned["bom-ref"], "dependsOn": [each["bom-ref"] for each in data]},
        ],
    }


def model(contents: dict[str, bytes], data: list[str]) -> dict[str, Any]:
    """Return the component of the model, which was fitted on these data."""
    evaluation = json.loads(contents[EVALUATION])
    digest = sha256(contents[MODEL]).hexdigest()
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{digest}",
        "name": "credit-pd",
        "version": digest[:16],
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "probability of default",
                "architectureFamily": evaluation["winner"],
                "datasets": [{"ref": each} for each in data],
                "inputs": [{"format": "application/json"}],
                "outputs": [{"format": "application/json"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": list(list_figures(evaluation))},
            "considerations": {
                "useCases": [USE],
                "technicalLimitations": [LIMITS],
                "fairnessAssessments": list(groups(evaluation)),
            },
        },
        "properties": list(parameters(contents, evaluation["winner"])),
    }


def list_figures(evaluation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the figures of the test rows with their intervals."""
    for name, figure in evaluation["test"].items():
        yield {
            "type": name,
            "value": str(figure["value"]),
            "slice": "test",
            "confidenceInterval": {
                "lowerBound": str(figure.get("low")),
                "upperBound": str(figure.get("high")),
            },
        }


def groups(evaluation: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the rates of each protected group."""
    for attribute, held in evaluation["by_group"].items():
        for group, rates in held.items():
            listed = "; ".join(f"{name} {value}" for name, value in rates.items())
            yield {"groupAtRisk": f"{attribute}: {group}", "harms": f"Test rows: {listed}"}


def parameters(contents: dict[str, bytes], winner: str) -> Iterator[dict[str, str]]:
    """Yield the parameters that the model was fitted with."""
    given = yaml.load(contents[PARAMETERS], yaml.CSafeLoader)
    search, values = given["search"], dict(given["train"])
    found = search["found"].get(given["dataset"])
    if search["trials"] and found is None:
        yield {"name": "credit-pd:search", "value": "models/search of the same commit"}
    else:
        values |= {**values.get(winner, {}), **(found or {}).get(winner, {})}
    for name, value in values.items():
        if not isinstance(value, dict):
            yield {"name": f"credit-pd:train.{name}", "value": json.dumps(value)}
    for name in ("dataset", "mode"):
        yield {"name": f"credit-pd:{name}", "value": json.dumps(given.get(name))}


def datasets(contents: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    """Yield a component for the raw and the prepared data, by DVC's hash of them."""
    stages = yaml.load(contents[LOCK], yaml.CSafeLoader)["stages"].values()
    files = (file for stage in stages for part in ("deps", "outs") for file in stage.get(part, ()))
    found = {file["path"]: file["md5"] for file in files}
    for path, md5 in sorted(found.items()):
        if path.startswith("data/") and path.rpartition("/")[2] in DATA:
            digest = md5.removesuffix(".dir")
            yield {
                "type": "data",
                "bom-ref": f"{path}:{digest}",
                "name": path,
                "hashes": [{"alg": "MD5", "content": digest}],
                "data": [{"type": "dataset", "name": path}],
            }


def libraries(lock: str) -> Iterator[dict[str, str]]:
    """Yield a component for each package of a compiled lock."""
    for name, version in re.findall(r"^([\w.-]+)(?:\[[^\]]+\])?==([^\s;\\]+)", lock, re.MULTILINE):
        address = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        yield {
            "type": "library",
            "bom-ref": address,
            "name": name,
            "version": version,
            "purl": address,
        }
