"""The house: rooms of a size to know, imports one way, and docstrings that say what lives where."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import grimp
import pytest

from tests.support.books import ROOT

PACKAGES = ("stages", "service", "release")
LARGEST_MODULE = 250
LARGEST_FOLDER = 12
# Modules that are longer on purpose, with the most lines that they may have, and the reason.
LONGER = {
    "stages/simulation/population.py": (290, "constants of a population beside the draws"),
    "benches/judging/situations.py": (280, "situations, each drawn by a function of its own"),
}
# Imports by name, which the import rules cannot see, with the reason.
BY_NAME = {
    "stages/models/registry.py": "a candidate is a plug-in: params.yaml names its file",
}
UNSEEN = {
    *("import_module", "__import__", "exec", "eval", "exec_module"),
    *("run_module", "run_path", "spec_from_file_location", "SourceFileLoader"),
    *("resolve_name", "importlib", "pkgutil", "runpy", "pydoc", "zipimport", "imp"),
    *("builtins", "__builtins__", "__loader__", "__spec__", "load_module", "ImportString"),
    *("sys.modules", "compile()"),
}
# Parts of `importlib` that import nothing, and one that stands in UNSEEN by its own name.
HARMLESS = (
    *("importlib.metadata", "importlib.resources", "importlib.util.find_spec"),
    "importlib.import_module",
)
# Commands that stand above the room that they live in, as a package's `__main__` does.
COMMANDS = ("stages.contract.check", "stages.contract.command", "stages.contract.draft")
GRAPH = grimp.build_graph(*PACKAGES, cache_dir=None)
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
BENCHES = sorted((ROOT / "benches").rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})
TESTS = sorted({path.parent for path in (ROOT / "tests").rglob("*.py")})
# Folders of tests that are larger on purpose, with the most modules that they may have.
LARGER = {
    "tests/e2e": (36, "the suite runs as a whole, with the helpers that start the system's parts"),
}
CANDIDATES = ROOT / "stages" / "models" / "candidates"


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def strongly_connected(graph: dict[str, set[str]]) -> list[set[str]]:
    """The circles of a directed graph (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for child in graph[node]:
            if child not in index:
                visit(child)
                low[node] = min(low[node], low[child])
            elif child in stack:
                low[node] = min(low[node], index[child])
        if low[node] == index[node]:
            circle = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            if len(circle) > 1:
                circles.append(circle)

    for node in graph:
        if node not in index:
            visit(node)
    return circles


def test_no_modules_import_one_another_in_a_circle() -> None:
    graph = {m: GRAPH.find_modules_directly_imported_by(m) for m in GRAPH.modules}
    assert strongly_connected(graph) == []


def test_no_packages_import_one_another_in_a_circle() -> None:
    folder = {m: m.rpartition(".")[0] for m in GRAPH.modules if "." in m and not command(m)}
    inner = {name for name in folder.values() if name not in PACKAGES}
    graph: dict[str, set[str]] = {name: set() for name in inner}
    for module, room in folder.items():
        for other in GRAPH.find_modules_directly_imported_by(module):
            target = folder.get(other)
            if room in inner and target in inner and room != target:
                graph[room].add(target)
    assert strongly_connected(graph) == []


def command(module: str) -> bool:
    """Whether a module is run by people and imported by no room."""
    return module.endswith(".__main__") or f"{module}.".startswith(tuple(f"{c}." for c in COMMANDS))


@pytest.mark.parametrize("module", [*MODULES, *BENCHES], ids=place)
def test_a_module_has_at_most_250_lines(module: Path) -> None:
    most, _ = LONGER.get(place(module), (LARGEST_MODULE, ""))
    assert len(module.read_text().splitlines()) <= most


@pytest.mark.parametrize(
    "folder", [*FOLDERS, *TESTS, *sorted({path.parent for path in BENCHES})], ids=place
)
def test_a_folder_has_at_most_twelve_modules(folder: Path) -> None:
    others = ("__init__", "__main__", "conftest")
    most, _ = LARGER.get(place(folder), (LARGEST_FOLDER, ""))
    assert len([path for path in folder.glob("*.py") if path.stem not in others]) <= most


def hidden_imports(source: str) -> set[str]:
    """The names, under whatever alias, by which a module would import what no rule sees."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            module = getattr(node, "module", None) or ""
            full = {f"{module}.{alias.name}".strip(".") for alias in node.names}
            names |= {alias.name for alias in node.names} | full
            names |= {name.split(".")[0] for name in full if not name.startswith(HARMLESS)}
        elif isinstance(node, ast.Attribute):
            names |= {node.attr, f"{getattr(node.value, 'attr', '')}.{node.attr}".strip(".")}
            names.add(f"{getattr(node.value, 'id', '')}.{node.attr}")
        elif isinstance(node, ast.Name):
            names |= {node.id, f"{node.id}()"}
    return names & UNSEEN


@pytest.mark.parametrize("module", MODULES, ids=place)
def test_no_import_is_hidden_from_the_import_rules(module: Path) -> None:
    hidden = hidden_imports(module.read_text())
    assert hidden == ({"import_module"} if place(module) in BY_NAME else set())


@pytest.mark.parametrize("name", BY_NAME)
def test_a_module_imports_by_name_in_one_place(name: str) -> None:
    nodes = ast.walk(ast.parse((ROOT / name).read_text()))
    assert sum(isinstance(node, ast.Name) and node.id == "import_module" for node in nodes) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from importlib import import_module as load\nload('stages.train')",
        "import importlib as i\ni.import_module('stages.train')",
        "load = __import__\nload('stages.train')",
        "from runpy import run_module\nrun_module('stages.train')",
        "import importlib\ngetattr(importlib, 'import_' 'module')('stages.train')",
        "from pkgutil import resolve_name\nresolve_name('stages.train:main')",
        "exec('import stages.train')",
        "import importlib.util as u\nu.find_spec('stages.train').loader.exec_module(u)",
        "from importlib.machinery import PathFinder\nPathFinder.find_spec('stages.train')",
        "import builtins\nbuiltins.__dict__['__imp' 'ort__']('stages.train')",
        "getattr(__builtins__, '__imp' 'ort__')('stages.train')",
        "import sys\nsys.modules['stages.train'].main()",
        "from sys import modules\nmodules['stages.train'].main()",
        "import pydoc\npydoc.locate('stages.train')",
        "from pydantic import ImportString\nImportString['stages.train.main']",
        "import types\ntypes.FunctionType(compile('import stages.train', '', 'exec'), {})()",
    ],
)
def test_an_import_under_another_name_is_seen(source: str) -> None:
    assert hidden_imports(source)


@pytest.mark.parametrize("folder", FOLDERS, ids=place)
def test_the_docstring_of_a_package_names_its_modules(folder: Path) -> None:
    words = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    parts = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    if folder == CANDIDATES:  # which params.yaml names, and nothing else
        parts = set()
    parts |= {path.name for path in folder.iterdir() if (path / "__init__.py").exists()}
    assert sorted(part for part in parts if f"`{part}`" not in words) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=place)
def test_the_docstring_of_a_package_lists_only_modules_that_are_there(folder: Path) -> None:
    words = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    listed = re.findall(r"(?m)^- ((?:`\w+`(?:, | and )?)+)", words) if folder != CANDIDATES else []
    names = {name for names in listed for name in re.findall(r"`(\w+)`", names)}
    there = {path.stem for path in folder.iterdir()}
    assert sorted(names - there) == []
