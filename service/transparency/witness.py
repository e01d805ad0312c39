"""A witness: it cosigns a checkpoint only where that extends what it has cosigned before.

It runs apart from the ledger, with a key and a folder of its own, and speaks C2SP's tlog-witness:
`POST /add-checkpoint`. It keeps one file for each log, which it replaces before it answers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service.ledger.storage.checkpoint import write_durably
from service.transparency.merkle_tree import EMPTY, require_consistency
from service.transparency.signing import Signer
from service.transparency.verify_receipt import Invalid, Key, decode, parse_checkpoint, signers

LARGEST = 65_536  # bytes of a request
MOST_HASHES = 63  # of a consistency proof, as C2SP allows


class CosigningRefused(Exception):
    """A request that the witness does not cosign, with the status of its answer."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class Submission(NamedTuple):
    """A request: the size that the log believes was cosigned last, a proof, and the note."""

    old: int
    proof: list[bytes]
    note: str

    @classmethod
    def parse(cls, body: bytes) -> Submission:
        """Read a request's body; raises CosigningRefused with 400."""
        try:
            head, blank, note = body.decode().partition("\n\n")
            first, *lines = head.split("\n")
            word, _, size = first.partition(" ")
            proof = [decode(line) for line in lines]
            if not blank or word != "old" or str(int(size)) != size or int(size) < 0:
                raise ValueError(first)
            if len(proof) > MOST_HASHES or any(len(part) != 32 for part in proof):
                raise ValueError(f"at most {MOST_HASHES} hashes of 32 bytes")
            parse_checkpoint(note)
        except ValueError as error:
            raise CosigningRefused(400, f"not a request of tlog-witness: {error}") from error
        return cls(int(size), proof, note)


class Witness:
    """The state of one witness: its key, the logs that it watches and what it saw of each."""

    def __init__(self, signer: Signer, logs: Sequence[Key], folder: Path) -> None:
        """Keep the state in `folder`, which must exist; `logs` are the public keys of logs."""
        self.signer, self.folder = signer, folder
        self._logs = {key.name: key for key in logs}
        self._lock = Lock()

    def cosign(self, submission: Submission) -> str:
        """Return the line of the cosignature.

        Raises CosigningRefused, as tlog-witness says, and OSError.
        """
        text, checkpoint = parse_checkpoint(submission.note)
        log = self._logs.get(checkpoint.origin)
        if log is None:
            raise CosigningRefused(404, f"{checkpoint.origin}: this log is not watched here")
        try:
            if not signers(submission.note, [log]):
                raise Invalid("the log's signature is missing")
        except Invalid as error:
            raise CosigningRefused(403, str(error)) from error
        if submission.old > checkpoint.size:
            raise CosigningRefused(400, "the old size is larger than the checkpoint's")
        with self._lock:
            size, root = self._read_newest(checkpoint.origin)
            if submission.old != size:
                raise CosigningRefused(409, str(size))
            if size == checkpoint.size and size and root != checkpoint.root:
                raise CosigningRefused(409, str(size))
            try:
                require_consistency(size, root, checkpoint.size, checkpoint.root, submission.proof)
            except Invalid as error:
                raise CosigningRefused(422, str(error)) from error
            self._keep(checkpoint.origin, submission.note)
        return self.signer.sign(text)

    def _file(self, origin: str) -> Path:
        return self.folder / f"{sha256(origin.encode()).hexdigest()[:16]}.checkpoint"

    def _read_newest(self, origin: str) -> tuple[int, bytes]:
        path = self._file(origin)
        if not path.exists():
            return 0, EMPTY
        checkpoint = parse_checkpoint(path.read_text())[1]
        return checkpoint.size, checkpoint.root

    def _keep(self, origin: str, note: str) -> None:
        write_durably(self._file(origin), note)
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def application(witness: Witness) -> Starlette:
    """Return the web application of a witness."""

    async def add_checkpoint(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                return PlainTextResponse(f"at most {LARGEST} bytes\n", 413)
        try:
            line = await run_in_threadpool(witness.cosign, Submission.parse(body))
        except CosigningRefused as refusal:
            kind = "text/x.tlog.size" if refusal.status == 409 else "text/plain"
            return Response(f"{refusal}\n", refusal.status, media_type=kind)
        return PlainTextResponse(line)

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])
