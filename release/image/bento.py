"""Collect the files of the bento, and the versions that its labels state."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from modulefinder import ModuleFinder
from pathlib import Path

import yaml

from service.decision import hashes, identity
from stages import params

MODELS = hashes.FILES
TEXTS = (Path("params.yaml"), Path("dvc.lock"), Path("requirements/service.txt"))
HEADLINE = "roc_auc"
PACKAGES = ("service", "stages")
# The modules that are started in the container, by BentoML, by the service or by an operator.
STARTED = (
    "service.image",
    "service.monitoring.__main__",
    "service.ready",
    "service.ledger.__main__",
    "service.letters.__main__",
    "service.replay",
    "service.shadow.__main__",
    "service.transparency.__main__",
)
PAGES = ("*.html", "*.css", "*.js", "*.svg")


class NotBuildable(Exception):
    """The checkout cannot become an image; the message says why and what to do."""


@dataclass(frozen=True)
class Facts:
    """The versions in a bento.

    `dvc_lock` and `model` are the SHA-256 of dvc.lock and of the model file, `data` is the digest
    by which decisions name the data; `headline` is the ROC-AUC of the winner.
    """

    git_commit: str
    dvc_lock: str
    data: str
    model: str
    winner: str
    headline: float

    def labels(self) -> dict[str, str]:
        """Return the facts as labels of a bento."""
        return {
            "git_commit": self.git_commit,
            "dvc_lock": self.dvc_lock,
            "data": self.data,
            "model": self.model,
            "winner": self.winner,
            HEADLINE: f"{self.headline:.6f}",
        }


def facts(root: Path, packed: list[Path]) -> Facts:
    """Return the facts about the checkout `root`.

    The commit ends in `-dirty` when a packed file differs from it; a deployment refuses such an
    image. Raises NotBuildable unless the models are those that dvc.lock names.
    """
    models = verified_models(root)
    metrics = json.loads(models[Path("models/evaluation.json")])
    return Facts(
        git_commit=commit(root, packed),
        dvc_lock=hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest(),
        data=identity.data_hash(root / "dvc.lock") or "",
        model=hashlib.sha256(models[hashes.WINNER]).hexdigest(),
        winner=metrics["winner"],
        headline=metrics["test"][HEADLINE]["value"],
    )


def verified_models(root: Path) -> dict[Path, bytes]:
    """Return the content of each file of `MODELS`; raises NotBuildable unless dvc.lock names it."""
    stages = yaml.load((root / "dvc.lock").read_text(), yaml.CSafeLoader)["stages"]
    named = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    contents = {}
    for path in MODELS:
        if not (root / path).is_file():
            raise NotBuildable(f"{path} is missing: run `dvc pull` or `dvc repro`")
        contents[path] = (root / path).read_bytes()
        if hashlib.md5(contents[path], usedforsecurity=False).hexdigest() != named.get(str(path)):
            raise NotBuildable(
                f"{path} is not the file that dvc.lock names: run `dvc repro`, or `git checkout "
                "dvc.lock` and `dvc checkout`"
            )
    return contents


def commit(root: Path, packed: list[Path]) -> str:
    """Return the commit of the checkout, with `-dirty` if a packed file is changed or untracked."""
    try:
        head = git(root, "rev-parse", "HEAD").strip()
        ours = [str(path) for path in packed]
        changed = git(root, "status", "--porcelain", "--untracked-files=all", "--", *ours)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotBuildable(f"{root} must be a git checkout with a commit: {error}") from None
    return f"{head}-dirty" if changed else head


def git(root: Path, *words: str) -> str:
    """Return what a git command prints."""
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def files(root: Path) -> list[Path]:
    """Return the files that serving needs, relative to `root`: code, pages, contract and models."""
    pages = (path for name in PAGES for path in (root / "service").rglob(name))
    contract = params.load(root / "params.yaml").data / "contract.yaml"
    migrations = (root / "service/ledger/migrations").rglob("*.py")  # Alembic runs them by path
    code = {path.relative_to(root) for path in (*modules(root), *pages, *migrations)}
    return sorted(code | {contract, *TEXTS, *MODELS})


def modules(root: Path) -> Iterator[Path]:
    """Yield the modules that are started in the container, and all that they import from here."""
    # A folder beside the packages may have the name of a module, as `secrets` has.
    others = [path.stem for path in root.iterdir() if path.name not in PACKAGES]
    finder = ModuleFinder([str(root)], excludes=others)
    for name in STARTED:
        finder.import_hook(name)
    for name, module in finder.modules.items():
        file: str | None = getattr(module, "__file__", None)
        if file and name.split(".")[0] in PACKAGES:
            yield Path(file)


def lay_out(root: Path, folder: Path) -> Facts:
    """Copy the files that serving needs to the empty `folder`, with a manifest of the model files.

    The manifest states the bytes that were held against dvc.lock, and a service that starts from
    the folder refuses others. Returns the facts about what was packed.
    """
    packed = files(root)
    made = facts(root, packed)
    for path in packed:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, folder / path)
    (folder / hashes.MANIFEST).write_text(hashes.manifest(verified_models(folder)))
    return made
