"""Read texts that people write, and write files and folders whole.

What is written has a temporary name, which is changed at the end: a stage that fails leaves its
previous output as it was.
"""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def read_text(path: Path, error_type: type[Exception] = ValueError) -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark.

    Raises `error_type` where the file cannot be read or is not in UTF-8; the message names the
    file, and the line where it is not.
    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise error_type(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise error_type(f"{path} must be a text in UTF-8; {_what_came(error)}") from error


def find_utf_16(start: bytes) -> str:
    """Return the encoding of a text that begins so, where that is UTF-16, else ""."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    first, second = start[:1] == b"\0", start[1:2] == b"\0"
    if first == second:
        return ""
    return "utf-16-be" if first else "utf-16-le"


def _what_came(error: UnicodeDecodeError) -> str:
    if find_utf_16(error.object):
        return "it is in UTF-16: save it as UTF-8"
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"line {line} has the byte 0x{error.object[error.start]:02x}: save it as UTF-8"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; it replaces `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write a text file whole."""
    with whole_file(path) as temporary:
        temporary.write_text(content, "utf-8")


def write_json(path: Path, content: object, indent: int = 2) -> None:
    """Write JSON that every reader takes; raises ValueError for a NaN or an infinity."""
    write_text(path, json.dumps(content, indent=indent, allow_nan=False) + "\n")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to fill; it replaces `path` when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
