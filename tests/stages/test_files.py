"""Texts are read in UTF-8; outputs are written atomically: a failure leaves the old one or none."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from stages import files


def half(whole: AbstractContextManager[Path], name: str) -> None:
    """Write a part of an output, and fail."""
    with whole as place:
        (place / name).write_text("half")
        raise OSError("the disk is full")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_text_is_read_in_utf_8_whatever_the_locale(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("a: Müller\r\n".encode(encoding))
    assert files.read_text(tmp_path / "a.yaml") == "a: Müller\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\nMüller".encode("cp1252"), "line 2 has the byte 0xfc: save it as UTF-8"),
        ("a".encode("utf-16"), "it is in UTF-16: save it as UTF-8"),
    ],
)
def test_a_text_in_another_encoding_is_refused_in_words(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(KeyError, match=rf"a\.yaml must be a text in UTF-8; {message}"):
        files.read_text(tmp_path / "a.yaml", KeyError)


@pytest.mark.parametrize(("name", "reason"), [(".", "Is a directory"), ("b", "No such file")])
def test_a_file_that_cannot_be_read_is_named(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{tmp_path / name} cannot be read: {reason}"):
        files.read_text(tmp_path / name)


def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with files.whole_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"


def test_a_file_that_fails_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(OSError, match="full"):
        half(files.whole_file(path), "")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with files.whole_folder(tmp_path / "out") as folder:
            (folder / name).touch()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]


def test_a_folder_that_fails_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    with files.whole_folder(tmp_path / "out") as folder:
        (folder / "old").touch()
    with pytest.raises(OSError, match="full"):
        half(files.whole_folder(tmp_path / "out"), "half")
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "old"]


def test_what_an_earlier_failure_left_behind_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".out.tmp").mkdir()
    (tmp_path / ".out.tmp" / "stale").touch()
    with files.whole_folder(tmp_path / "out") as folder:
        (folder / "new").touch()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]
