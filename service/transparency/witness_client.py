"""Ask a witness to cosign a checkpoint (C2SP's tlog-witness)."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from service.transparency.verify_receipt import Invalid, Key, parse_checkpoint, signers

TIMEOUT = 5.0  # seconds


class WitnessClient:
    """One witness: where it is asked, and its public key."""

    def __init__(self, address: str, key: Key) -> None:
        if urlsplit(address).scheme not in ("http", "https"):
            raise ValueError(f"{key.name}: an address begins with http:// or https://; {address!r}")
        self.address, self.key = address.rstrip("/"), key
        self._seen = 0  # entries of the tree that the witness signed last

    def cosign(self, note: str, prove: Callable[[int, int], list[bytes]]) -> str:
        """Return the witness's line for a signed checkpoint.

        `prove` returns the consistency proof between two sizes of the tree. Raises Invalid where
        the witness refuses or answers with what its key did not sign, and OSError where it cannot
        be asked.
        """
        _, checkpoint = parse_checkpoint(note)
        status, answer = self._ask(note, prove, min(self._seen, checkpoint.size))
        if status == 409 and answer.strip().isdigit():  # it has seen another size: say it again
            seen = int(answer)
            if seen > checkpoint.size:
                raise Invalid(f"it has seen {seen} entries, and there are {checkpoint.size}")
            status, answer = self._ask(note, prove, seen)
        if status != 200:
            raise Invalid(f"it refused with {status}: {answer.strip()[:200]}")
        lines = [line for line in answer.splitlines(True) if line.startswith(f"— {self.key.name} ")]
        if len(lines) != 1 or self.key.name not in signers(note + lines[0], [self.key]):
            raise Invalid("its answer is no cosignature of its key")
        self._seen = checkpoint.size
        return lines[0]

    def _ask(
        self, note: str, prove: Callable[[int, int], list[bytes]], old: int
    ) -> tuple[int, str]:
        size = parse_checkpoint(note)[1].size
        proof = (base64.b64encode(part).decode() for part in prove(old, size))
        body = "\n".join([f"old {old}", *proof, "", note])
        request = Request(f"{self.address}/add-checkpoint", body.encode(), method="POST")  # noqa: S310
        try:
            with urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
                return response.status, response.read(65_536).decode(errors="replace")
        except HTTPError as error:
            return error.code, error.read(65_536).decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"it does not speak HTTP: {error!r}") from error
