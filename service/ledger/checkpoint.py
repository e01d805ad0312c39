"""The end of the chain, kept in a small file outside the database.

A database that vanished, or that came back shorter, is noticed by it also after a restart:
nothing is recorded until the ledger is restored, or an operator accepts the loss by
`python -m service.ledger init`. The file stands in the folder `LEDGER_CHECKPOINTS`; by default
that is the folder of a SQLite ledger, and `ledger` for a server. Best is a folder on another disk.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from sqlalchemy import URL

from service import settings
from service.ledger.database import LedgerUnavailable, database_file
from service.ledger.entries import Head

INTERVAL = 1.0  # seconds between two writes of the file


class Checkpoint:
    """The checkpoint of one ledger; `failure` says why it could not be written last."""

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
        """Return the end of the chain that was kept; None where none was.

        Raises LedgerUnavailable for a file that cannot be read.
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
        """Keep the end of the chain, at most once every INTERVAL; `flush` writes what is left."""
        self._pending = head
        if time.monotonic() - self._written >= INTERVAL:
            self.flush()

    @property
    def is_pending(self) -> bool:
        """Whether `flush` has something to write."""
        return self._pending is not None

    def flush(self) -> None:
        """Write what `keep` was given last. A failure is remembered and stops nothing."""
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
        """Write the file durably, whole or not at all; raises OSError."""
        content = {
            "sequence": head.sequence,
            "hash": head.hash,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        with new.open("w") as file:
            file.write(json.dumps(content) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
