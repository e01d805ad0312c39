"""The checkpoint: the length and the last hash of the chain, in a small file beside the database.

By its checkpoint the service notices, also after a restart, that the database is gone or has lost
entries. It then records nothing until the ledger is restored, or an operator accepts the loss with
`python -m service.ledger init`. The file is in the folder `LEDGER_CHECKPOINTS`, best on another
disk; the default is the folder of a SQLite ledger, and `ledger` for PostgreSQL.
"""

import json
import os
import socket
import sys
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from sqlalchemy import URL

from service import settings
from service.ledger.storage.database import LedgerUnavailable
from service.ledger.storage.database_file import database_file
from service.ledger.storage.entries import Head

INTERVAL = 1.0  # seconds between two writes of the file


class Checkpoint:
    """The checkpoint of one ledger; `failure` says why its last write failed, if it did."""

    def __init__(self, url: URL) -> None:
        file = database_file(url)
        place = str(file.absolute()) if file else f"{url.host}:{url.port}/{url.database}"
        name = file.name if file else url.database
        folder = settings.load().ledger_checkpoints or (file.parent if file else "ledger")
        digest = sha256(place.encode()).hexdigest()[:8]
        self.path = Path(folder) / f"{name}-{digest}.checkpoint"
        self.failure: str | None = None
        self._pending: Head | None = None
        self._written = -INTERVAL

    def read(self) -> Head | None:
        """Return the head that was kept, None when there is no file.

        Raises LedgerUnavailable when the file cannot be read.
        """
        try:
            content = json.loads(self.path.read_text())
            return Head(int(content["sequence"]), str(content["hash"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LedgerUnavailable(
                f"the checkpoint {self.path} cannot be read ({error}): restore it, or accept what "
                "the database holds with `python -m service.ledger init`"
            ) from error

    def keep(self, head: Head) -> None:
        """Keep a head, and write it unless the last write was less than INTERVAL ago."""
        self._pending = head
        if time.monotonic() - self._written >= INTERVAL:
            self.flush()

    @property
    def is_pending(self) -> bool:
        """Whether a head was kept that is not yet written."""
        return self._pending is not None

    def flush(self) -> None:
        """Write the head that was kept last; a failure is stored in `failure` and not raised."""
        if self._pending is None:
            return
        self._written = time.monotonic()
        try:
            self.write(self._pending)
        except OSError as error:
            if self.failure is None:
                print(f"ledger: cannot write {self.path}: {error.strerror}", file=sys.stderr)
            self.failure = f"cannot write {self.path}: {error.strerror}"
        else:
            self.failure = None
        self._pending = None

    def write(self, head: Head) -> None:
        """Replace the file durably and atomically; raises OSError."""
        content = {
            "sequence": head.sequence,
            "hash": head.hash,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        write_durably(self.path, json.dumps(content) + "\n")


def write_durably(path: Path, text: str) -> None:
    """Replace a file durably and atomically, and make its folder; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Containers that share the folder have the same process ids.
    new = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
