"""Compare what training again gave with what was pushed: its bytes, else its numbers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from release.dvc_state import locked_outputs
from release.gate import predictions
from release.gate.checks import Finding
from release.gate.reproduction import pickled_names
from release.revisions import CannotJudge

CHECK = "reproduction"
LOCK = Path("dvc.lock")
CLOSE = 1e-6  # of a PD or a figure, between families of processors
DATA = "data/"  # outputs of no floating-point fit: the same bytes on every machine
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def collect(folder: Path) -> str:
    """Copy dvc.lock, and the outputs of models/ that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(LOCK, folder / LOCK.name)
    for name in locked_outputs(LOCK.read_text()):
        for path in files(Path(name)):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path)
    return f"collected in {folder}"


def files(path: Path) -> list[Path]:
    """Return the files of an output of models/."""
    if str(path).startswith(DATA):
        return []
    every = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [each for each in every if each.is_file()]


def compare(folder: Path | None) -> Iterator[Finding]:
    """Compare every output with that of the second training: its bytes, else its numbers."""
    if folder is None:
        words = "nothing was trained again (no --reproduced): for local use only"
        yield Finding(CHECK, "note", words)
        return
    if not (folder / LOCK.name).is_file():
        raise CannotJudge("training the change again failed: see the job before this one")
    pushed, made = (locked_outputs(each.read_text()) for each in (LOCK, folder / LOCK.name))
    differing = [name for name in {**pushed, **made} if pushed.get(name) != made.get(name)]
    wrong = [name for name in differing if must_be_equal(name, pushed, made)]
    if not wrong:
        wrong = [
            str(path)
            for name in differing
            for path in sorted({*files(Path(name)), *made_files(folder, name)})
            if not is_close(path, folder / path)
        ]
    if wrong:
        words = f"training again gave other results than were pushed: {', '.join(wrong[:5])}"
        yield Finding(CHECK, "fail", f"{words}; run `dvc repro --force`, push and commit")
    elif differing:
        words = f"training again gave all figures within {CLOSE:g}, on another processor: other "
        yield Finding(CHECK, "pass", f"{words}bytes in {', '.join(differing[:5])}")
    else:
        yield Finding(CHECK, "pass", f"training again gave all {len(pushed)} outputs bit for bit")


def must_be_equal(name: str, pushed: dict[str, Any], made: dict[str, Any]) -> bool:
    """Return whether an output must have the same bytes, whatever the processor.

    A processor that gave every PD to the last bit gives all else so too.
    """
    if name.startswith(DATA) or not {name} <= pushed.keys() & made.keys():
        return True
    return predictions.PATH in pushed and pushed[predictions.PATH] == made.get(predictions.PATH)


def made_files(folder: Path, name: str) -> list[Path]:
    """Return the files of an output of the second training."""
    return [path.relative_to(folder) for path in files(folder / name)]


def is_close(pushed: Path, made: Path) -> bool:
    """Return whether two files hold the same words and, but for rounding, the same numbers."""
    if not pushed.is_file() or not made.is_file() or pushed.suffix not in COMPARISONS:
        return False
    try:
        return COMPARISONS[pushed.suffix](pushed, made)
    except ValueError:
        return False


def same_names(pushed: Path, made: Path) -> bool:
    """Return whether two joblib files import the same; their numbers are in winner.json too."""
    return pickled_names.list_names(pushed) == pickled_names.list_names(made)


def same_json(pushed: Path, made: Path) -> bool:
    """Return whether two files of JSON, or of lines of it, agree: numbers nearly, all else."""
    texts = (f"[{as_list(path)}]" for path in (pushed, made))
    one, other = ([*leaves(json.loads(text, object_pairs_hook=as_pairs))] for text in texts)
    return len(one) == len(other) and all(map(same_value, one, other))


def as_list(path: Path) -> str:
    """Return the text of a JSON file, or the lines of one of JSON lines with commas between."""
    text = path.read_text()
    return ",".join(text.splitlines()) if path.suffix == ".jsonl" else text


def as_pairs(pairs: list[tuple[str, Any]]) -> list[list[Any]]:
    """Return keys and values of an object, with a key that stands twice."""
    return [[*pair] for pair in pairs]


def leaves(value: object, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested lists with its place."""
    if isinstance(value, list):
        for place, part in enumerate(value):
            yield from leaves(part, f"{name}.{place}")
    else:
        yield name, value


def same_value(one: tuple[str, Any], other: tuple[str, Any]) -> bool:
    """Return whether two leaves agree: numbers nearly, all else exactly."""
    (place, a), (where, b) = one, other
    if isinstance(a, float) and isinstance(b, int | float):
        return place == where and bool(np.isclose(a, b, rtol=CLOSE, atol=CLOSE))
    return place == where and bool(a == b)


def same_tables(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Return whether two tables agree: numbers nearly, all else exactly."""
    try:
        pd.testing.assert_frame_equal(one, other, rtol=CLOSE, atol=CLOSE)
    except AssertionError:
        return False
    return True


def same_texts(pushed: Path, made: Path) -> bool:
    """Return whether two texts agree: numbers nearly, all else exactly."""
    one, other = pushed.read_text(), made.read_text()
    if NUMBER.split(one) != NUMBER.split(other):
        return False
    first, second = ([float(each) for each in NUMBER.findall(text)] for text in (one, other))
    return bool(np.allclose(first, second, rtol=CLOSE, atol=CLOSE))


COMPARISONS: dict[str, Callable[[Path, Path], bool]] = {
    ".parquet": lambda one, other: same_tables(pd.read_parquet(one), pd.read_parquet(other)),
    ".csv": lambda one, other: same_tables(pd.read_csv(one), pd.read_csv(other)),
    ".json": same_json,
    ".jsonl": same_json,
    ".joblib": same_names,
    ".html": same_texts,
}
