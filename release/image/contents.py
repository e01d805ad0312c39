"""What fills an image: `release.image contents` runs this file inside it, with its Python.

Prints bytes by name as JSON: each installed package with its bytecode, and the packed checkout.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from importlib.metadata import distributions
from pathlib import Path


def owners() -> dict[Path, str]:
    """Which package each installed file belongs to."""
    return {
        Path(str(each.locate_file(file))): each.name
        for each in distributions(path=packages())
        for file in each.files or ()
    }


def packages() -> list[str]:
    """Folders of installed packages."""
    return [path for path in sys.path if path.endswith("site-packages")]


def source(path: Path) -> Path:
    """The file that a file of bytecode was made from; any other file itself."""
    if path.suffix != ".pyc":
        return path
    return path.parent.parent / f"{path.name.split('.')[0]}.py"


def measure(bento: Path) -> Counter[str]:
    """Bytes by package, and of the folder `bento`."""
    owner, sizes = owners(), Counter[str]()
    for folder in packages():
        for path in Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                sizes[owner.get(source(path), "other")] += path.stat().st_size
    sizes["code and model"] = sum(p.stat().st_size for p in bento.rglob("*") if p.is_file())
    return sizes


if __name__ == "__main__":
    print(json.dumps(measure(Path(os.getcwd()).parent)))  # noqa: PTH109 - runs as a text
