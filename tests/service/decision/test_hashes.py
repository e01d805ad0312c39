"""The model's files are held against stated hashes before anything of them is read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from release.gate.reproduction import rescoring
from release.revisions import CannotJudge
from service.decision import hashes
from service.decision.engine import Engine
from service.decision.hashes import FILES, GOLDEN, LOCK, MANIFEST, WINNER, NotReady
from tests.support.books import CANDIDATES, ROOT, Project
from tests.support.trained.winners import crown

FLIPS = 210
SERVE = """
import sys
from pathlib import Path
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
from service.decision.engine import Engine
engine = Engine.load(Path({root!r}))
pds = [engine.decide(record["application"]).default_probability for record in engine.golden]
print(pds == [record["default_probability"] for record in engine.golden])
"""


@pytest.fixture(scope="module", params=["lightgbm", "scorecard"])
def released(
    request: pytest.FixtureRequest, fitted_book: Project, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder as the build lays it out, with a manifest; not to be changed."""
    root = crown(fitted_book, request.param, tmp_path_factory.mktemp("released") / "own")
    state(root)
    Engine.load(root)
    return root


def state(root: Path) -> None:
    """Write the manifest of a winner's files, and an evaluation where there is none."""
    if not (root / "models/evaluation.json").exists():
        (root / "models/evaluation.json").write_text('{"stands": "here"}\n')
    (root / MANIFEST).write_text(hashes.manifest({p: (root / p).read_bytes() for p in FILES}))


@pytest.fixture
def root(released: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return shutil.copytree(released, tmp_path / "own")


def refused(root: Path) -> str:
    """Why the engine is not ready: one line."""
    with pytest.raises(NotReady) as error:
        Engine.load(root)
    assert "\n" not in str(error.value)
    return str(error.value)


def flipped(content: bytes, generator: np.random.Generator) -> bytes:
    """The content with one bit turned."""
    changed = bytearray(content)
    bit = int(generator.integers(8 * len(content)))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def lock(root: Path) -> None:
    """State the files in a dvc.lock instead of a manifest."""
    (root / MANIFEST).unlink()
    md5 = {str(p): hashlib.md5((root / p).read_bytes()).hexdigest() for p in FILES}  # noqa: S324
    outs = [{"path": path, "md5": digest} for path, digest in md5.items()]
    (root / LOCK).write_text(yaml.safe_dump({"stages": {"evaluate": {"outs": outs}}}))


@pytest.mark.parametrize("stated_by", [MANIFEST, LOCK])
def test_every_flip_of_a_bit_of_the_model_is_refused_in_one_clear_line(
    stated_by: Path, root: Path
) -> None:
    if stated_by == LOCK:
        lock(root)
        Engine.load(root)
    content, generator = (root / WINNER).read_bytes(), np.random.default_rng(210)
    for _ in range(FLIPS):
        (root / WINNER).write_bytes(flipped(content, generator))
        assert refused(root).startswith(f"{WINNER} is not the file that {stated_by} states; ")


@pytest.mark.parametrize("path", FILES)
def test_a_flip_of_a_bit_of_any_file_is_refused(path: Path, root: Path) -> None:
    (root / path).write_bytes(flipped((root / path).read_bytes(), np.random.default_rng(3)))
    assert refused(root).startswith(f"{path} is not the file that {MANIFEST} states; ")


def test_a_flip_of_a_bit_of_the_manifest_is_refused(root: Path) -> None:
    content, generator = (root / MANIFEST).read_bytes(), np.random.default_rng(4)
    for _ in range(40):
        (root / MANIFEST).write_bytes(flipped(content, generator))
        with contextlib.suppress(NotReady):  # a bit of white space states the same
            hashes.read_verified(root)
            assert json.loads((root / MANIFEST).read_bytes()) == json.loads(content)


def test_a_flip_without_a_stated_hash_is_refused_or_scores_every_golden_record(root: Path) -> None:
    (root / MANIFEST).unlink()
    content, generator = (root / WINNER).read_bytes(), np.random.default_rng(5)
    for _ in range(FLIPS):
        (root / WINNER).write_bytes(flipped(content, generator))
        with contextlib.suppress(NotReady):
            assert len(Engine.load(root).golden) == 20


@pytest.mark.parametrize("candidate", ["lightgbm", "xgboost", "random_forest"])
def test_altered_leaves_that_no_golden_record_reaches_are_refused(
    candidate: str, fitted_book: Project, tmp_path: Path
) -> None:
    root = crown(fitted_book, candidate, tmp_path / "own")
    state(root)
    records = [json.loads(line) for line in (root / GOLDEN).read_text().splitlines()]
    engine = Engine.load(root)
    matrix = engine.matrix(*[engine.applications.check(r["application"]) for r in records])
    document = json.loads((root / WINNER).read_text())
    changed = sum(
        alter_unreached_leaves(tree, document["scorer"], matrix)
        for tree in document["scorer"]["trees"]
    )
    assert changed
    (root / WINNER).write_text(json.dumps(document, separators=(",", ":")) + "\n")
    assert refused(root).startswith(f"{WINNER} is not the file that {MANIFEST} states; ")
    (root / MANIFEST).unlink()
    assert Engine.load(root).golden  # the golden records alone do not notice


def alter_unreached_leaves(tree: dict[str, Any], scorer: dict[str, Any], matrix: Any) -> int:
    """Lower the leaves of a tree that no row of the matrix reaches; returns how many."""
    reached = set()
    for row in matrix[:, scorer["features"]]:
        place = 0
        while tree["feature"][place] >= 0:
            value, codes = row[tree["feature"][place]], tree["categories"].get(str(place))
            if np.isnan(value):
                left = tree["missing_left"][place]
            elif codes is not None:
                left = (value in codes) == (scorer["library"] == "lightgbm")
            elif scorer["library"] == "lightgbm":
                left = value <= tree["threshold"][place]
            else:
                left = np.float32(value) < np.float32(tree["threshold"][place])
            place = place + 1 if left else tree["right"][place]
        reached.add(place)
    altered = [p for p, feature in enumerate(tree["feature"]) if feature < 0 and p not in reached]
    for place in altered:
        tree["value"][place] -= 5.0
    return len(altered)


def test_a_model_that_the_lock_does_not_name_is_refused(root: Path) -> None:
    lock(root)
    (root / LOCK).write_text("stages: {}\n")
    assert "is not the file that dvc.lock states; run `dvc repro`" in refused(root)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{", b'{"sha256": 3}', b"stages: 3"])
@pytest.mark.parametrize("path", [MANIFEST, LOCK])
def test_a_damaged_statement_of_hashes_is_refused(path: Path, content: bytes, root: Path) -> None:
    if path == LOCK:
        lock(root)
    (root / path).write_bytes(content)
    assert refused(root).startswith(f"{path} cannot be read; ")


@pytest.mark.parametrize("path", FILES)
def test_a_file_that_the_manifest_states_must_be_there(path: Path, root: Path) -> None:
    (root / path).unlink()
    assert refused(root) == f"{path} is missing; deploy the image anew"


@pytest.mark.parametrize("path", [*FILES, MANIFEST])
def test_a_file_that_the_disk_does_not_give_is_named(
    path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.read_bytes

    def failing(file: Path) -> bytes:
        if file == root / path:
            raise OSError(5, "Input/output error")
        return whole(file)

    monkeypatch.setattr(Path, "read_bytes", failing)
    assert refused(root) == f"{path} cannot be read (Input/output error)"


class Payload:
    """What leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["models/winner.joblib", str(WINNER)])
def test_a_winner_that_would_run_a_command_is_executed_by_nobody(
    name: str, root: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    (root / name).write_bytes(pickle.dumps(Payload(mark)))
    (root / MANIFEST).unlink()
    with contextlib.chdir(root):
        if name == str(WINNER):
            assert "is not a model file" in refused(root)
            with pytest.raises(CannotJudge, match="is not a model file"):
                rescoring.score()
        else:
            Engine.load(root)
            with contextlib.suppress(CannotJudge):
                rescoring.score()
    assert not mark.exists()
    pickle.loads(pickle.dumps(Payload(mark)))  # noqa: S301  (the payload works)
    assert mark.exists()


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_a_process_that_serves_needs_none_of_what_can_execute(
    candidate: str, fitted_book: Project, tmp_path: Path
) -> None:
    root = crown(fitted_book, candidate, tmp_path / "own")
    absent = ("joblib", "lightgbm", "xgboost", "sklearn", "optbinning", "pandas", "imblearn")
    done = subprocess.run(
        [sys.executable, "-c", SERVE.format(absent=absent, root=str(root))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"
