"""`dvc.yaml`: what each stage runs, reads, is made of and writes is what it declares."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml
from pydantic import BaseModel

from stages import params, search
from tests.support.books import CANDIDATES, ROOT, Project

# `check` aside, which reads and writes no file.
STAGES = ("preprocess", "featurize", "search", "train", "evaluate", "dossier")
MATRIX = ("search", "train")  # a stage for each candidate
# What people write into models/, which no stage makes.
WRITTEN_BY_PEOPLE = (
    "models/acknowledgements.yaml",
    "models/approvals.yaml",
    "models/gate.yaml",
    "models/resampling",
)
CANDIDATE = "lightgbm"
DAG: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
GRAPH = grimp.build_graph("stages", cache_dir=None)
# DVC follows the parameters themselves, so the module that reads them is no dependency.
READS_PARAMS = "stages.params"


def declared(stage: str, key: str) -> list[str]:
    """A list of a stage's declaration, for the small book and one candidate."""
    names = (next(iter(e)) if isinstance(e, dict) else e for e in DAG[stage].get(key, []))
    return [n.replace("${dataset}", "small").replace("${item.candidate}", CANDIDATE) for n in names]


def modules(stage: str) -> set[str]:
    """The modules that a stage declares, by name."""
    return {
        d.removesuffix(".py").replace("/", ".")
        for d in declared(stage, "deps")
        if d.endswith(".py")
    }


def own_modules(stage: str) -> set[str]:
    """The stage's module, and what it finds by name: one candidate's file."""
    found_by_name = {f"stages.models.candidates.{CANDIDATE}"} if stage in MATRIX else set()
    command = f"stages.{stage}"
    return {f"{command}.__main__" if f"{command}.__main__" in GRAPH.modules else command} | (
        found_by_name
    )


def needed(stage: str) -> set[str]:
    """All modules that a stage imports; shared ones count whichever candidate imports them."""
    shared = set().union(*(imported(f"stages.models.candidates.{name}") for name in CANDIDATES))
    candidates = {name for name in shared if name.startswith("stages.models.candidates.")}
    imports = set().union(*map(imported, own_modules(stage)))
    return imports | (shared - candidates if stage in MATRIX else set())


@cache
def imported(module: str) -> frozenset[str]:
    """A module and all that it imports, but by way of what reads the parameters."""
    reached, waiting = {module}, [module]
    while waiting:
        new = GRAPH.find_modules_directly_imported_by(waiting.pop()) - reached - {READS_PARAMS}
        reached |= new
        waiting += new
    return frozenset(reached)


def test_the_parameters_are_checked_first_and_without_a_file() -> None:
    assert list(DAG) == ["check", *STAGES]
    assert set(DAG["check"]) == {"desc", "cmd", "params"}
    assert DAG["check"]["params"] == ["dataset", "candidates"]


@pytest.mark.parametrize("stage", ["check", *STAGES])
def test_a_stage_is_run_as_a_module_by_its_name(stage: str) -> None:
    command = DAG[stage]["cmd"].partition(" || ")[0].split(" ")
    assert command[:3] == ["python", "-m", f"stages.{stage}"]
    assert command[3:] == (["${item.candidate}"] if stage in MATRIX else [])


@pytest.mark.parametrize("stage", MATRIX)
def test_a_stage_runs_for_each_candidate_of_the_parameters(stage: str) -> None:
    assert DAG[stage]["matrix"] == {"candidate": "${candidates}"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_module_it_imports(stage: str) -> None:
    assert not needed(stage) - modules(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_no_module_that_it_does_not_import(stage: str) -> None:
    assert not modules(stage) - needed(stage)


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_evaluation_depends_on_every_module_that_an_artifact_needs(
    candidate: str, fitted_book: Project
) -> None:
    named = set(re.findall(rb"stages(?:\.[a-z_]+)+", fitted_book.artifact(candidate).read_bytes()))
    assert named
    needed = set().union(*(imported(name.decode()) for name in named))
    assert not needed - modules("evaluate")


@pytest.mark.parametrize("stage", STAGES)
def test_code_that_a_stage_depends_on_is_there(stage: str) -> None:
    assert not [d for d in declared(stage, "deps") if d.endswith(".py") and not (ROOT / d).exists()]


@pytest.mark.parametrize("stage", STAGES)
def test_data_that_a_stage_depends_on_is_a_source_or_made_by_a_stage(stage: str) -> None:
    outputs = {out for other in STAGES for out in declared(other, "outs")} | {
        "models/candidates",
        "models/search",
    }
    sources = {"data/small/raw", "data/small/contract.yaml", "requirements/training.txt"}
    sources |= {"stages/dossier/templates", "stages/dossier/duties.yaml", *WRITTEN_BY_PEOPLE}
    data = {d for d in declared(stage, "deps") if not d.endswith(".py")}
    assert data <= outputs | sources


@pytest.mark.parametrize("stage", ["preprocess", "featurize", "evaluate", "dossier"])
def test_outputs_of_quick_stages_persist_so_that_a_failure_leaves_the_old_ones(stage: str) -> None:
    outs = [*DAG[stage]["outs"], *DAG[stage].get("metrics", [])]
    assert all(next(iter(out.values()))["persist"] for out in outs)


def test_a_search_and_candidates_do_not_persist_so_that_the_run_cache_has_them() -> None:
    assert DAG["search"]["outs"] == [{"models/search/${item.candidate}.json": {"cache": False}}]
    assert all(isinstance(out, str) for out in DAG["train"]["outs"])


def test_metrics_are_kept_in_git() -> None:
    kept = {
        name
        for stage in STAGES
        for out in [*DAG[stage].get("outs", []), *DAG[stage].get("metrics", [])]
        if isinstance(out, dict)
        for name, options in out.items()
        if not options.get("cache", True)
    }
    assert kept == {
        "data/${dataset}/quality.json",
        "models/search/${item.candidate}.json",
        "models/evaluation.json",
        "models/metrics.json",
    }


def test_dvc_metrics_lists_the_headline_figures_alone() -> None:
    assert [list(m) for s in STAGES for m in DAG[s].get("metrics", [])] == [["models/metrics.json"]]


def test_no_stage_depends_on_the_number_of_threads() -> None:
    assert not [s for s in STAGES if {"threads", "train", "."} & set(declared(s, "params"))]


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_that_a_stage_depends_on_exist(stage: str) -> None:
    config = params.load(ROOT / "params.yaml")
    for name in declared(stage, "params"):
        value: Any = config
        for key in name.split("."):
            value = getattr(value, key)


class Watched:
    """Parameters that note which of them are read."""

    def __init__(self, model: BaseModel, place: str, read: set[str]) -> None:
        self._own, self._place, self._read = model, place, read

    def __getattr__(self, name: str) -> Any:
        kind = type(self._own)
        if name not in kind.model_fields:
            part = getattr(kind, name)
            return part.fget(self) if isinstance(part, property) else part.__get__(self)
        value, place = getattr(self._own, name), f"{self._place}{name}"
        if isinstance(value, BaseModel):
            return Watched(value, f"{place}.", self._read)
        self._read.add(place)
        return value

    def model_copy(self, update: dict[str, Any]) -> BaseModel:
        return self._own.model_copy(update=update)


@dataclass(frozen=True)
class Run:
    """A stage that was run where there is nothing but what it declares to depend on."""

    stage: str
    made: set[str]
    read: set[str]


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


@pytest.fixture(scope="module", params=STAGES)
def run(
    request: pytest.FixtureRequest, fitted_book: Project, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    stage, alone = request.param, Project(tmp_path_factory.mktemp("alone"))
    (alone.data / "contract.yaml").unlink()
    book = fitted_book
    if stage == "dossier":
        book = Project(tmp_path_factory.mktemp("judged"))
        shutil.copytree(fitted_book.folder, book.folder, dirs_exist_ok=True)
        book.run("evaluate")
    of_repository = ("requirements/", "stages/", *WRITTEN_BY_PEOPLE)
    for name in (d for d in declared(stage, "deps") if not d.endswith(".py")):
        source = ROOT if name.startswith(of_repository) else book.folder
        copy(source / name, alone.folder / name)
    before, read = set(alone.files()), set[str]()
    watched = Watched(alone.config, "", read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(params, "load", lambda: watched)
        if stage == "search":
            patch.chdir(alone.folder)
            search.main(CANDIDATE)
        else:
            alone.run(CANDIDATE if stage == "train" else stage)
    return Run(stage, set(alone.files()) - before, read)


def test_a_stage_writes_what_it_declares_and_nothing_else(run: Run) -> None:
    outs = [*declared(run.stage, "outs"), *declared(run.stage, "metrics")]
    assert {out for name in run.made for out in outs if name.startswith(out)} == set(outs)
    assert not [name for name in run.made if not name.startswith(tuple(outs))]


def test_a_stage_declares_every_parameter_that_it_reads(run: Run) -> None:
    # A candidate's own parameters are in its artifact, which evaluation depends on.
    known = ["threads", *declared(run.stage, "params"), *["train."] * (run.stage == "evaluate")]
    assert run.read
    assert not [name for name in run.read if not name.startswith(tuple(known))]


@pytest.mark.parametrize("run", ["preprocess", "featurize", "train"], indirect=True)
def test_a_stage_reads_every_parameter_that_it_declares(run: Run) -> None:
    parameters = declared(run.stage, "params")
    assert not [
        name for name in parameters if not any(parameter.startswith(name) for parameter in run.read)
    ]
