"""The bill of materials of an image: model, data and packages, as CycloneDX's schema wants it."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import cyclonedx.schema
import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from release.attestation import bill_of_materials
from service.decision import hashes

ROOT = Path(__file__).parents[3]
SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"
IMAGE = f"registry/credit-pd@sha256:{'a' * 64}"
NAMES = [*map(str, hashes.FILES), "params.yaml", "dvc.lock", "requirements/service.txt"]
CONTENTS = {name: (ROOT / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return bill_of_materials.describe(IMAGE, CONTENTS, datetime(2026, 11, 20, tzinfo=UTC))


def faults(bill: dict[str, Any]) -> list[str]:
    """Return what the schema has against a bill."""
    read = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.schema.json")}
    resources = [(held["$id"], Resource.from_contents(held)) for held in read.values()]
    schema = read["bom-1.6.SNAPSHOT.schema.json"]
    validator = Draft7Validator(schema, registry=Registry().with_resources(resources))
    return [error.message for error in validator.iter_errors(bill)]


def only(bill: dict[str, Any], component_type: str) -> dict[str, Any]:
    [component] = [each for each in bill["components"] if each["type"] == component_type]
    return dict(component)


def test_the_schema_of_cyclonedx_has_nothing_against_it(bill: dict[str, Any]) -> None:
    assert faults(bill) == []


def test_the_schema_finds_a_planted_mistake(bill: dict[str, Any]) -> None:
    wrong = copy.deepcopy(bill)
    only(wrong, "machine-learning-model")["hashes"][0]["content"] = "no hash"
    only(wrong, "machine-learning-model")["modelCard"]["figures"] = []
    assert len(faults(wrong)) > 0


def test_the_model_is_named_by_its_hash_and_has_its_figures(bill: dict[str, Any]) -> None:
    model = only(bill, "machine-learning-model")
    digest = sha256(CONTENTS["models/winner.json"]).hexdigest()
    assert model["hashes"] == [{"alg": "SHA-256", "content": digest}]
    stated = json.loads(CONTENTS["models/evaluation.json"])
    performance = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    [auc] = [each for each in performance if each["type"] == "roc_auc"]
    assert auc["value"] == str(stated["test"]["roc_auc"]["value"])
    assert auc["confidenceInterval"]["lowerBound"] == str(stated["test"]["roc_auc"]["low"])
    assert model["modelCard"]["modelParameters"]["architectureFamily"] == stated["winner"]


def stated(bill: dict[str, Any]) -> dict[str, str]:
    """Return the properties of a bill's model, by name."""
    properties = only(bill, "machine-learning-model")["properties"]
    return {each["name"]: each["value"] for each in properties}


def described(searched: dict[str, Any]) -> dict[str, str]:
    """Return what is stated of a model whose params.yaml names these books as searched."""
    params = yaml.safe_load(CONTENTS["params.yaml"])
    params["search"]["found"] = searched
    contents = CONTENTS | {"params.yaml": yaml.safe_dump(params).encode()}
    return stated(bill_of_materials.describe(IMAGE, contents, datetime(2026, 11, 20, tzinfo=UTC)))


def test_the_model_states_the_parameters_it_was_fitted_with(bill: dict[str, Any]) -> None:
    train = yaml.safe_load(CONTENTS["params.yaml"])["train"]
    assert stated(bill)["credit-pd:train.seed"] == json.dumps(train["seed"])
    assert "credit-pd:dataset" in stated(bill)


def test_parameters_that_a_search_found_are_not_stated_as_those_of_params() -> None:
    winner = json.loads(CONTENTS["models/evaluation.json"])["winner"]
    [name, *_] = yaml.safe_load(CONTENTS["params.yaml"])["train"][winner]
    assert described({"loan_book": {winner: {name: 77}}})[f"credit-pd:train.{name}"] == "77"
    searched = described({})
    assert f"credit-pd:train.{name}" not in searched
    assert "models/search" in searched["credit-pd:search"]


def test_the_data_are_named_by_the_hashes_of_dvc(bill: dict[str, Any]) -> None:
    data = {each["name"]: each["hashes"] for each in bill["components"] if each["type"] == "data"}
    assert {name.rpartition("/")[2] for name in data} == {"raw", "prepared"}
    lock = CONTENTS["dvc.lock"].decode()
    assert all(each[0]["content"] in lock for each in data.values())


def test_every_package_of_the_lock_is_listed(bill: dict[str, Any]) -> None:
    packages = {each["name"]: each["version"] for each in bill["components"] if "purl" in each}
    assert packages["bentoml"] == "1.4.39"
    lock = CONTENTS["requirements/service.txt"].decode()
    assert len(packages) == len({line for line in lock.splitlines() if "==" in line})
