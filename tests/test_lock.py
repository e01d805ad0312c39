"""The committed results are those of the committed code, contract, parameters and data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LOCK = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def parameter(name: str) -> object:
    value = PARAMS
    for key in name.split("."):
        value = value[key]
    return value


@pytest.mark.parametrize("stage", LOCK)
def test_the_lock_names_the_code_and_contract_that_are_committed(stage: str) -> None:
    files = {
        d["path"]: d["md5"] for d in LOCK[stage].get("deps", []) if (ROOT / d["path"]).suffix != ""
    }
    ours = {p: md5 for p, md5 in files.items() if p.startswith("stages/") or "contract" in p}
    actual = {p: hashlib.md5((ROOT / p).read_bytes()).hexdigest() for p in ours}  # noqa: S324
    assert actual == ours


@pytest.mark.parametrize("stage", LOCK)
def test_the_lock_names_the_parameters_that_are_committed(stage: str) -> None:
    recorded = LOCK[stage]["params"]["params.yaml"]
    assert {name: parameter(name) for name in recorded} == recorded


KEPT_IN_GIT = ("models/evaluation.json", "models/metrics.json")


def test_the_lock_names_the_results_that_are_committed() -> None:
    named = [
        entry for stage in LOCK.values() for key in ("deps", "outs") for entry in stage.get(key, [])
    ]
    results = {e["path"]: e["md5"] for e in named if e["path"].endswith(KEPT_IN_GIT)}
    actual = {p: hashlib.md5((ROOT / p).read_bytes()).hexdigest() for p in results}  # noqa: S324
    assert actual == results


def test_the_lock_names_what_people_wrote_for_the_dossier() -> None:
    named = {d["path"]: d["md5"] for d in LOCK["dossier"]["deps"]}
    people = {p: md5 for p, md5 in named.items() if p.endswith(".yaml")}
    actual = {p: hashlib.md5((ROOT / p).read_bytes()).hexdigest() for p in people}  # noqa: S324
    assert people
    assert actual == people


def test_the_lock_starts_from_the_raw_data_that_is_tracked() -> None:
    tracked = yaml.safe_load((ROOT / "data/loan_book/raw.dvc").read_text())["outs"][0]["md5"]
    deps = {d["path"]: d["md5"] for d in LOCK["preprocess"]["deps"]}
    assert deps["data/loan_book/raw"] == tracked


def test_the_metrics_in_git_are_of_the_default_book() -> None:
    metrics = json.loads((ROOT / "models/evaluation.json").read_text())
    assert (metrics["dataset"], metrics["mode"]) == (PARAMS["dataset"], PARAMS["mode"])
