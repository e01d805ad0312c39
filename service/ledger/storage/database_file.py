"""The file of a ledger in SQLite: whether it is there, and a database."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import URL, Engine

from service.ledger.storage.database import LedgerUnavailable

SQLITE_MARK = b"SQLite format 3\0"  # how every file of SQLite begins


def database_file(url: URL) -> Path | None:
    """Return the file of a SQLite ledger, None for PostgreSQL."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def require_file(url: URL) -> None:
    """Raise LedgerUnavailable when the file of a SQLite ledger does not exist, or is another."""
    file = database_file(url)
    if file is not None and not file.exists():
        raise LedgerUnavailable(
            f"unable to open {file}: there is no such file; the service makes it, and "
            "--database URL or DATABASE_URL names another"
        )
    if file is not None:
        require_sqlite(file)


def require_sqlite(file: Path) -> None:
    """Raise LedgerUnavailable for what cannot be read, or is neither empty nor SQLite's."""
    try:
        with file.open("rb") as stream:
            start = stream.read(len(SQLITE_MARK))
    except OSError as error:
        raise LedgerUnavailable(f"unable to open {file}: {error.strerror}") from error
    if start not in (b"", SQLITE_MARK):
        raise LedgerUnavailable(
            f"{file} must be a database of SQLite, such as a ledger or a backup of one; it is a "
            "file of another kind"
        )


def file_identity(engine: Engine) -> tuple[int, int] | None:
    """Return device and inode of the SQLite file, None for PostgreSQL or when there is no file."""
    path = database_file(engine.url)
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def create_file(engine: Engine) -> None:
    """Create the SQLite file and its folder, and sync the folders so that power loss keeps them."""
    path = database_file(engine.url)
    if path is None or path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        for folder in (path.parent, path.parent.parent):
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
    except OSError as error:
        raise LedgerUnavailable(f"cannot create {path}: {error.strerror}") from error
