from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.image import __main__ as image
from release.image import bento, run_check
from release.image.bento import NotBuildable
from release.image.container_engine import ContainerEngine, ContainerError
from service.decision import hashes, identity
from service.decision.hashes import NotReady
from tests.support.books import ROOT

COMMIT = "b" * 40
HOST = (ROOT / "release/deploy/host/host.env").read_text()
FORBIDDEN = {"dvc", "boto3", "botocore", "pandas", "scikit-learn", "pyarrow", "matplotlib", "shap"}
EXECUTING = {"joblib", "lightgbm", "xgboost", "xgboost-cpu"}  # what ships needs no library of these
VERBS = ("preprocess", "featurize", "train", "evaluate", "simulate", "tune")


class Checkout:
    """A git checkout with the project's code and models that its dvc.lock names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        contents = {str(path): "{}" for path in bento.MODELS} | {
            "models/evaluation.json": json.dumps(
                {"winner": "scorecard", "test": {"roc_auc": {"value": 0.75}}}
            ),
            "params.yaml": (ROOT / "params.yaml").read_text(),
            "requirements/service.txt": "numpy==1\n",
            "service/image.py": "from service.service import load\n",
            "service/service.py": "from stages.models.artifact import load\n",
            "service/monitoring/__init__.py": "",
            "service/monitoring/__main__.py": "",
            "service/ready.py": "",
            "service/replay.py": "",
            "service/shadow/__init__.py": "",
            "service/shadow/__main__.py": "",
            "service/transparency/__init__.py": "",
            "service/transparency/__main__.py": "",
            "service/ledger/__init__.py": "",
            "service/ledger/__main__.py": "",
            "service/letters/__init__.py": "",
            "service/letters/__main__.py": "",
            "service/letters/templates/us/letter.html": "<html>",
            "service/batch.py": "import pyarrow\n",
            "service/__init__.py": "",
            "service/api/ui/index.html": "<html>",
            "service/api/description/docs.html": "<html>",
            "release/deploy/compose/compose.yaml": "services: {}",
            "stages/__init__.py": "",
            "stages/models/__init__.py": "",
            "stages/models/artifact.py": "import json\nfrom stages.features import matrix\n",
            "stages/features/__init__.py": "",
            "stages/features/matrix.py": "",
            "stages/train.py": "import service.service\n",
            "data/loan_book/contract.yaml": "title: Book",
        }
        for name, text in contents.items():
            self.write(name, text)
        self.lock()
        self.git("init", "--quiet")
        self.commit()

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def lock(self) -> None:
        """Name the models as they are in dvc.lock."""
        md5 = {str(path): (self.folder / path).read_bytes() for path in bento.MODELS}
        outs = [{"path": p, "md5": hashlib.md5(c).hexdigest()} for p, c in md5.items()]  # noqa: S324
        self.write("dvc.lock", yaml.safe_dump({"stages": {"evaluate": {"outs": outs}}}))

    def commit(self) -> None:
        """Commit everything."""
        self.git("add", ".")
        self.git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "All")

    def git(self, *words: str) -> str:
        """What git prints."""
        return bento.git(self.folder, *words).strip()

    def facts(self) -> bento.Facts:
        """The facts about what would be packed."""
        return bento.facts(self.folder, bento.files(self.folder))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


class Stub(ContainerEngine):
    """An engine that says what it is told to, and notes what it was asked."""

    def __init__(self, about: dict[str, Any], answers: dict[str, str] | None = None) -> None:
        super().__init__("stub")
        self.about, self.answers, self.asked = about, answers or {}, list[Sequence[str]]()

    def run(self, *words: str, check: bool = True) -> str:
        self.asked.append(words)
        if words[0] == "inspect":
            return json.dumps([self.about])
        return self.answers.get(words[0], "")


def labelled(name: str, value: str) -> dict[str, Any]:
    """What an engine knows of an image with this label."""
    digests = ["other@sha256:1", "registry/credit-pd@sha256:2"]
    labels = {"Labels": {name: value}}
    return {"Id": "sha256:0123456789abcdef", "Config": labels, "RepoDigests": digests}


def test_the_modules_that_the_service_imports_are_packed_and_no_others(checkout: Checkout) -> None:
    packed = {str(path) for path in bento.files(checkout.folder)}
    code = {name for name in packed if name.endswith((".py", ".html", ".yaml"))}
    assert code == {
        "data/loan_book/contract.yaml",
        "params.yaml",
        "service/__init__.py",
        "service/image.py",
        "service/ledger/__init__.py",
        "service/ledger/__main__.py",
        "service/letters/__init__.py",
        "service/letters/__main__.py",
        "service/letters/templates/us/letter.html",
        "service/monitoring/__init__.py",
        "service/monitoring/__main__.py",
        "service/ready.py",
        "service/replay.py",
        "service/shadow/__init__.py",
        "service/shadow/__main__.py",
        "service/transparency/__init__.py",
        "service/transparency/__main__.py",
        "service/service.py",
        "service/api/description/docs.html",
        "service/api/ui/index.html",
        "stages/__init__.py",
        "stages/features/__init__.py",
        "stages/features/matrix.py",
        "stages/models/__init__.py",
        "stages/models/artifact.py",
    }


def test_a_folder_with_the_name_of_a_module_does_not_disturb(checkout: Checkout) -> None:
    (checkout.folder / "service/ready.py").write_text("import secrets\n")
    packed = set(bento.modules(checkout.folder))
    (checkout.folder / "secrets").mkdir()
    assert set(bento.modules(checkout.folder)) == packed


def test_no_verb_of_this_project_is_packed() -> None:
    packed = {str(path) for path in bento.files(ROOT)}
    assert not packed & {f"stages/{verb}.py" for verb in VERBS}


def test_every_module_that_the_service_starts_is_packed() -> None:
    packed = bento.files(ROOT)
    code = "".join((ROOT / path).read_text() for path in packed if path.suffix == ".py")
    started = re.findall(r'"-m",\s*"(service[\w.]*)"', code)
    assert started
    modules = {name.replace(".", "/") for name in started}
    runnable = (Path(name) for name in modules)
    assert all({p.with_suffix(".py"), p / "__main__.py"} & set(packed) for p in runnable)


def test_the_migrations_are_packed_although_nothing_imports_them() -> None:
    migrations = (ROOT / "service/ledger/migrations").rglob("*.py")
    assert {path.relative_to(ROOT) for path in migrations} <= set(bento.files(ROOT))


def test_packed_modules_import_only_installed_packages() -> None:
    packed = [ROOT / path for path in bento.files(ROOT) if path.suffix == ".py"]
    needed = {name for path in packed for name in imported(path)} - {"service", "stages"}
    lock = (ROOT / "requirements/service.txt").read_text()
    locked = {plain(name) for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    named = packages_distributions()
    foreign = {name for name in needed if name not in sys.stdlib_module_names}
    assert not [name for name in foreign if not {plain(d) for d in named[name]} & locked]


def plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub("[-_.]+", "-", name).lower()


def imported(path: Path) -> set[str]:
    """Names of the packages that a module imports at once, not in a function of training's."""
    nodes = ast.parse(path.read_text()).body
    whole = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in (*whole, *parts)}


def test_every_module_that_scores_is_packed() -> None:
    packed = {str(path) for path in bento.files(ROOT)}
    modules = (
        "models/artifact",
        "models/model_file",
        "models/document",
        "models/compiled/trees",
        "models/scorers",
        "models/calibration",
        "features/matrix",
        "contract/schema",
    )
    assert {f"stages/{name}.py" for name in modules} <= packed


@pytest.mark.parametrize(
    "place", ["service/dashboard", "service/traffic", "service/batch", "release"]
)
def test_commands_for_people_are_not_packed(place: str) -> None:
    assert not [path for path in bento.files(ROOT) if str(path).startswith(place)]


def test_the_image_installs_the_uv_of_the_lock() -> None:
    lock = (ROOT / "requirements/e2e.txt").read_text()
    [(version, hashes)] = re.findall(r"^uv==(\S+) ((?:\\\n    --hash=\S+ ?)+)", lock, re.MULTILINE)
    code = (ROOT / "service/image.py").read_text()
    assert f"uv=={version} " in code
    assert set(re.findall(r"--hash=\S+[0-9a-f]", code)) < set(hashes.split())


def test_the_base_is_named_by_its_digest_where_dependabot_looks() -> None:
    assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", image.pinned_base())
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    folders = [each["directory"] for each in updates if each["package-ecosystem"] == "docker"]
    assert folders == [f"/{image.BASE.parent.relative_to(ROOT)}"]


def test_the_lock_of_the_image_has_no_training_stack() -> None:
    lock = (ROOT / "requirements/service.txt").read_text().lower()
    assert not [name for name in FORBIDDEN | EXECUTING if f"\n{name}==" in lock]


def test_facts_name_commit_lock_winner_and_headline(checkout: Checkout) -> None:
    lock, model = (
        hashlib.sha256((checkout.folder / name).read_bytes()).hexdigest()
        for name in ("dvc.lock", "models/winner.json")
    )
    data = identity.data_hash(checkout.folder / "dvc.lock") or ""
    head = checkout.git("rev-parse", "HEAD")
    expected = bento.Facts(head, lock, data, model, "scorecard", 0.75)
    assert checkout.facts() == expected


def test_a_changed_packed_file_makes_the_commit_dirty(checkout: Checkout) -> None:
    checkout.write("service/service.py", "import stages\n")
    assert checkout.facts().git_commit.endswith("-dirty")


def test_a_changed_file_that_is_not_packed_does_not(checkout: Checkout) -> None:
    checkout.write("README.md", "More")
    assert checkout.facts().git_commit == checkout.git("rev-parse", "HEAD")


def test_a_model_that_the_lock_does_not_name_is_refused(checkout: Checkout) -> None:
    checkout.write("models/winner.json", "another")
    with pytest.raises(NotBuildable, match=r"winner.json is not the file that dvc.lock names"):
        checkout.facts()


def test_a_missing_model_is_reported(checkout: Checkout) -> None:
    (checkout.folder / "models/golden.jsonl").unlink()
    with pytest.raises(NotBuildable, match=r"golden.jsonl is missing: run `dvc pull`"):
        checkout.facts()


def test_a_folder_that_is_no_checkout_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    checkout.folder.joinpath(".git").rename(tmp_path / "elsewhere")
    with pytest.raises(NotBuildable, match="must be a git checkout"):
        checkout.facts()


def test_the_packed_files_are_copied_and_no_others(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    bento.lay_out(checkout.folder, tmp_path / "out")
    files = {p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert files == {*bento.files(checkout.folder), hashes.MANIFEST}


def test_the_manifest_states_the_files_that_the_lock_names(
    checkout: Checkout, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    folder = bento.lay_out(checkout.folder, tmp_path / "out")
    stated = json.loads((tmp_path / "out" / hashes.MANIFEST).read_text())["sha256"]
    assert set(stated) == {str(path) for path in bento.MODELS}
    assert stated["models/winner.json"] == folder.model == folder.labels()["model"]
    assert hashes.read_verified(tmp_path / "out").keys() == {*bento.MODELS}
    with (tmp_path / "out/models/reference.json").open("a") as file:
        file.write(" ")
    with pytest.raises(NotReady, match=r"reference.json is not the file that models/manifest.json"):
        hashes.read_verified(tmp_path / "out")


def test_an_image_on_a_stand_in_base_is_not_published() -> None:
    engine = Stub(labelled(image.STAND_IN, "true"))
    with pytest.raises(ContainerError, match="stands on a stand-in base"):
        image.publish(engine, "credit-pd:1", "registry/credit-pd")
    assert "push" not in [words[0] for words in engine.asked]


@pytest.mark.parametrize("commit", ["", f"{COMMIT}-dirty"])
def test_an_image_of_no_commit_is_not_published(commit: str) -> None:
    engine = Stub(labelled(image.LABELS["git_commit"], commit))
    with pytest.raises(ContainerError, match="must be built from a commit without changes"):
        image.publish(engine, "credit-pd:1", "registry/credit-pd")


def test_a_published_image_is_named_by_its_digest_in_that_repository() -> None:
    engine = Stub(labelled(image.LABELS["git_commit"], COMMIT))
    published = image.publish(engine, "credit-pd:1", "registry/credit-pd")
    assert published == "registry/credit-pd@sha256:2"
    assert ("push", f"registry/credit-pd:{COMMIT}-0123456789ab") in engine.asked


def test_a_check_uses_the_settings_of_a_host(tmp_path: Path) -> None:
    settings = run_check.local_settings(Stub({}), tmp_path)
    assert f"CREDIT_PD_MEMORY={settings.memory}\n" in HOST
    assert settings.ledger == tmp_path / "ledger"


def test_a_broken_ledger_is_reported(tmp_path: Path) -> None:
    engine = Stub({}, {"run": "the chain of 3 entries is broken"})
    with pytest.raises(ContainerError, match="is broken"):
        run_check.count_entries(engine, "credit-pd:1", tmp_path)


def test_a_missing_engine_is_reported() -> None:
    with pytest.raises(ContainerError, match="no-such-engine cannot be run"):
        ContainerEngine("no-such-engine").run("version")


def test_another_engine_is_refused() -> None:
    with pytest.raises(ContainerError, match="must be docker or podman; got 'buildah'"):
        image.containerize(ContainerEngine("/usr/bin/buildah"), "credit_pd:1", None, None)


def test_a_failed_command_states_its_output() -> None:
    with pytest.raises(ContainerError, match="ended with status 1"):
        ContainerEngine(f"{sys.executable} -c 'raise SystemExit(1)'").run("version")


def test_an_image_goes_to_another_job_as_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = tmp_path / "engine"
    echo.write_text('#!/bin/sh\necho "$@"\n')
    echo.chmod(0o755)
    monkeypatch.setenv("CREDIT_PD_ENGINE", str(echo))
    file = tmp_path / "build" / "image.tar"
    assert image.main(["save", "credit-pd:1", str(file)]) == 0
    assert image.main(["load", str(file)]) == 0
    assert file.parent.is_dir()
    assert capsys.readouterr().out.splitlines() == [
        f"save --output {file} credit-pd:1",
        f"load --input {file}",
    ]


def test_the_exit_status_of_a_failure_is_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDIT_PD_ENGINE", "no-such-engine")
    assert image.main(["run-check", "credit-pd:1"]) == 1
    assert "no-such-engine cannot be run" in capsys.readouterr().err
