"""The writer's connection: append entries to the chain, and check that none was lost."""

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.ledger import claims, migrations
from service.ledger.claims import Append, Claim
from service.ledger.storage import personal_tables as tables
from service.ledger.storage import totals
from service.ledger.storage.checkpoint import Checkpoint
from service.ledger.storage.database import LedgerUnavailable, describe, only_write
from service.ledger.storage.database_file import database_file, file_identity
from service.ledger.storage.entries import Entry, Head
from service.ledger.storage.schema import lock_head, move_head, read_hash, write_probe


class ChainConnection:
    """Appends to one chain; only `prepare` may be called from other threads."""

    def __init__(self, engine: Engine) -> None:
        self.checkpoint = Checkpoint(engine.url)
        self._engine = engine
        self._connection: Connection | None = None
        self._file: tuple[int, int] | None = None
        self._last = 0
        self._is_prepared = False
        self._preparing = threading.Lock()

    def prepare(self) -> None:
        """Create the tables of an empty database at the first call; later they stay missing.

        Raises LedgerUnavailable when that is impossible or not allowed; see `migrations.create`.
        """
        with self._preparing:
            if not self._is_prepared:
                migrations.create(self._engine, self.checkpoint)
                self._is_prepared = True

    def commit(
        self, appends: Sequence[Append], join: Callable[[], Sequence[Append]] = tuple
    ) -> list[list[Entry] | Claim]:
        """Append durably, and return the entries of each append; raises LedgerUnavailable.

        Once the head is locked, `join` returns further appends that are recorded with these. An
        append whose key was claimed before is left out; its result is the earlier claim.
        """
        return self._transact(appends, 0, join)

    def probe(self, size: int) -> None:
        """Prove that `size` bytes can be written durably, without creating tables or entries."""
        self._transact((), size)

    def _transact(
        self,
        appends: Sequence[Append],
        probe_size: int,
        join: Callable[[], Sequence[Append]] = tuple,
    ) -> list[list[Entry] | Claim]:
        try:
            connection, head = self._begin(bool(appends))
            appends = [*appends, *join()]
            new, earlier = claims.separate(connection, appends)
            drafts = [draft for append in new for draft in append.drafts]
            stored = tables.record(connection, head, drafts)
            claims.insert(connection, [append.claim for append in new if append.claim])
            if stored:
                totals.count_up_to(connection, head.sequence, stored[-1].sequence)
                head = Head(stored[-1].sequence, stored[-1].hash)
            elif not appends:
                write_probe(connection, probe_size)
            move_head(connection, head)
            connection.commit()
        except SQLAlchemyError as error:
            self.disconnect()
            raise LedgerUnavailable(describe(error)) from error
        except LedgerUnavailable:
            self.disconnect()
            raise
        self._last = head.sequence
        if stored:
            self.checkpoint.keep(head)
        rows = iter(stored)
        return [
            before or [next(rows) for _ in append.drafts]
            for append, before in zip(appends, earlier, strict=True)
        ]

    def _begin(self, may_create: bool) -> tuple[Connection, Head]:
        """Return a connection that has locked the head, and the head.

        A connection that was lost while it was idle is replaced at once.
        """
        self._check_file()
        if self._connection is not None:
            try:
                return self._connection, self._check(self._connection)
            except DBAPIError as error:
                self.disconnect()
                if not error.connection_invalidated:
                    raise
        if may_create:
            self.prepare()
        elif not self._is_prepared:
            migrations.require_tables(self._engine)
        self._connection = self._engine.connect()
        only_write(self._connection)
        self._file = file_identity(self._engine)
        return self._connection, self._check(self._connection)

    def _check(self, connection: Connection) -> Head:
        """Lock the head and return it; raises LedgerUnavailable when entries are missing."""
        head = lock_head(connection)
        if head.sequence < self._last:
            raise LedgerUnavailable(
                f"the database lost entries: it ends at {head.sequence}, and this process has "
                f"recorded up to {self._last}; restore it, or accept the loss: stop the service "
                "and run `python -m service.ledger init`"
            )
        if self._last == 0:
            self._compare_with_checkpoint(connection, head)
        return head

    def _compare_with_checkpoint(self, connection: Connection, head: Head) -> None:
        kept = self.checkpoint.read()
        if kept is None or kept.sequence == 0:
            return
        accept = "restore it, or accept what it holds with `python -m service.ledger init`"
        if head.sequence < kept.sequence:
            raise LedgerUnavailable(
                f"the database lost entries: it ends at {head.sequence}, and "
                f"{self.checkpoint.path} says that it held {kept.sequence}; {accept}"
            )
        if read_hash(connection, kept.sequence) != kept.hash:
            raise LedgerUnavailable(
                f"the database holds another chain: its entry {kept.sequence} is not the one "
                f"that {self.checkpoint.path} names; {accept}"
            )

    def _check_file(self) -> None:
        """Close a SQLite file that was deleted or replaced: SQLite would go on writing to it."""
        present = file_identity(self._engine)
        if present != self._file:
            self.disconnect()
            self._engine.dispose()
        if self._last and self._file is not None and present is None:
            file = database_file(self._engine.url)
            raise LedgerUnavailable(f"the ledger file {file} is gone")

    def disconnect(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
