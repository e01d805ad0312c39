"""Whether a dossier still says what its files say, and whether what it cites is there."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

from stages.dossier import duties as duties_of_law
from stages.dossier.lineage import hash_of
from stages.dossier.sources import DossierError, look_up, read, write_key

FOLDER = Path("models/dossier")
PAGE, MADE_FROM, CALCULATED = (
    FOLDER / name for name in ("index.html", "made_from.json", "calculated.json")
)
FIGURE = re.compile(r'<data class="figure" value="([^"]*)" data-file="([^"]*)" data-key="([^"]*)">')


def faults(root: Path) -> list[str]:
    """Return what is wrong with the dossier of a project, one sentence each; [] where it is right.

    Raises DossierError where there is no dossier.
    """
    if not (root / PAGE).is_file():
        raise DossierError(f"{PAGE} is not there: make it by `dvc repro dossier`")
    listed = duties_of_law.load(root / duties_of_law.DUTIES)
    cited = duties_of_law.absent_evidence(listed, root)
    return [
        *stale_files(root),
        *wrong_figures(root, (root / PAGE).read_text()),
        *(f"{duties_of_law.DUTIES} cites {name}, which is not there" for name in cited),
    ]


def stale_files(root: Path) -> list[str]:
    """Return which files and folders are not those that the dossier was made from."""
    wrong = []
    for entry in read(root / MADE_FROM):
        path = root / entry["path"]
        if not path.exists():
            wrong.append(f"{entry['path']} is not there any more")
        elif hash_of(path) != entry["md5"]:
            wrong.append(f"{entry['path']} has changed since the dossier was made")
    return wrong


def wrong_figures(root: Path, page: str) -> list[str]:
    """Return which figures of the page are not what their files say."""
    contents: dict[str, Any] = {}
    wrong = []
    for value, name, keys in (map(unescape, found) for found in FIGURE.findall(page)):
        if name not in contents:
            path = root / name
            contents[name] = read(path) if path.exists() else None
        place = f"{name}: {write_key(tuple(json.loads(keys)))}"
        try:
            says = look_up(contents[name], tuple(json.loads(keys)))
        except KeyError:
            wrong.append(f"{place} is shown as {value}, and is not stated any more")
            continue
        if json.loads(value) != says:
            wrong.append(f"{place} is {json.dumps(says)}, and is shown as {value}")
    return wrong
