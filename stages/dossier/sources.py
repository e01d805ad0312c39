"""The files that the dossier is made from, and the only way in which a figure enters the page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from stages import files

Key = tuple[str | int, ...]
UNDEFINED = "undefined"
FIGURE = Markup('<data class="figure" value="{}" data-file="{}" data-key="{}">{}</data>')


class DossierError(Exception):
    """The dossier cannot be made, or no longer says what its files say; the text says why."""


def read(path: Path) -> Any:
    """Return the content of a JSON or a YAML file; raises DossierError where it is neither."""
    try:
        text = files.read_text(path)
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.CSafeLoader)
    except (ValueError, yaml.YAMLError) as error:
        raise DossierError(f"{path} cannot be read: {error}") from error


def look_up(content: Any, keys: Key) -> Any:
    """Return the value under some keys; raises KeyError where there is none."""
    for key in keys:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            raise KeyError(key) from None
    return content


def write_key(keys: Key) -> str:
    """Return keys as the page shows them: `by_vintage / 2023-Q3 / rows`."""
    return " / ".join(str(key) for key in keys)


def format_value(value: float | str | bool | None, style: str, digits: int) -> str:
    """Return a value as people read it; `style` is number, percent, count or text."""
    if value is None:
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if style == "text" or isinstance(value, str):
        return str(value)
    if style == "percent":
        return f"{value:.{digits}%}".replace("%", " %")
    return f"{round(value):,}" if style == "count" else show_number(value, digits)


def show_number(value: float, digits: int) -> str:
    """Return a number with some decimals; one that they would make zero is said to be small."""
    smallest = 10.0**-digits
    if value == 0 or abs(value) >= smallest:
        return f"{value:,.{digits}f}"
    return f"below {smallest:.{digits}f}" if value > 0 else f"above -{smallest:.{digits}f}"


@dataclass
class Sources:
    """Files by short name, and the notes about which of their values the page shows."""

    root: Path
    paths: dict[str, Path]
    made: dict[str, Any]
    """Contents of files that are about to be written."""
    notes: dict[tuple[str, Key], int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        here = {name: path for name, path in self.paths.items() if (self.root / path).is_file()}
        self.contents = {name: read(self.root / path) for name, path in here.items()} | self.made

    def has(self, name: str, *keys: str | int) -> bool:
        """Tell whether a file is there and says something under some keys."""
        try:
            return self.value(name, *keys) not in (None, {}, [])
        except KeyError:
            return False

    def value(self, name: str, *keys: str | int) -> Any:
        """Return what a file says under some keys; raises KeyError."""
        said = look_up(self.contents[name], keys)
        self.used.add(name)
        return said

    def figure(
        self,
        name: str,
        *keys: str | int,
        style: str = "number",
        digits: int = 4,
        note: bool = True,
    ) -> Markup:
        """Return a value of a file as HTML that names its file and key.

        In a sentence it has the number of its note; in a table the caption has one for all cells.
        Raises DossierError where the file says nothing there.
        """
        path = self.paths[name]
        try:
            value = self.value(name, *keys)
        except KeyError:
            raise DossierError(
                f"{path} must state {write_key(keys)}, which the page shows"
            ) from None
        shown = format_value(value, style, digits)
        cell = FIGURE.format(json.dumps(value), path, json.dumps(keys), shown)
        return cell + self.mark(name, *keys) if note else cell

    def cell(self, name: str, *keys: str | int, style: str = "number", digits: int = 4) -> Markup:
        """Return a value for a table whose caption names the source; a dash where there is none."""
        try:
            self.value(name, *keys)
        except KeyError:
            return Markup("&ndash;")
        return self.figure(name, *keys, style=style, digits=digits, note=False)

    def mark(self, name: str, *keys: str | int) -> Markup:
        """Return the number of the note that names a file and a key."""
        self.used.add(name)
        number = self.notes.setdefault((name, keys), len(self.notes) + 1)
        return Markup('<a class="note" href="#note-{0}">{0}</a>').format(number)

    def listed_notes(self) -> list[tuple[int, str, str]]:
        """Return the number, the file and the key of each note."""
        return [
            (number, str(self.paths[name]), write_key(keys))
            for (name, keys), number in self.notes.items()
        ]
