"""Sign the ledger's checkpoints, witness them, and prove what the ledger holds.

Exit codes: 0 done or sound, 1 broken, 2 not possible.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from service.ledger import reader
from service.ledger.storage.checkpoint import write_durably
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database import LedgerUnavailable, database_url, open_engine
from service.ledger.storage.database_file import require_file
from service.ledger.verify import Verification
from service.ledger.verify import verify as verify_chain
from service.transparency.audit import audit
from service.transparency.log import Mismatch, TransparencyLog
from service.transparency.signing import Signer, public_line
from service.transparency.verify_receipt import LOG, WITNESS, Key
from service.transparency.witness import Witness, application
from service.transparency.witness_client import WitnessClient
from stages import project


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        url = database_url(options.database)
        if command in (write_receipt, show_status, prove, verify):
            require_file(url)
        engine = open_engine(url, LONG_DEADLINE)
        options.ledger = TransparencyLog(engine)
        try:
            return command(options)
        finally:
            engine.dispose()
    except Mismatch as error:
        print(f"BROKEN: {error}", file=sys.stderr)
        return 1
    except (LedgerUnavailable, OSError, ValueError) as error:
        print(f"transparency: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def make_key(options: argparse.Namespace) -> int:
    """Write a private key, and beside it the public key that others must know."""
    signer = Signer.generate(options.name, LOG if options.type == "log" else WITNESS)
    signer.save(options.out)
    public = options.out.with_name(options.out.name + ".pub")
    public.write_text(public_line(signer.key) + "\n")
    print(f"the private key is in {options.out}; publish {public}")
    return 0


def publish(options: argparse.Namespace) -> int:
    """Sign and publish checkpoints, once or at an interval of seconds."""
    signer = Signer.load(options.key)
    witnesses = [
        WitnessClient(address, _key(project.resolve(path))) for address, path in options.witness
    ]
    log: TransparencyLog = options.ledger
    last = -1
    while True:
        try:
            published = log.publish(signer, witnesses)
        except LedgerUnavailable as error:
            if not options.every:
                raise
            print(f"transparency: {error}", file=sys.stderr, flush=True)
        else:
            for name, problem in published.refusals.items():
                print(f"witness {name}: {problem}", file=sys.stderr, flush=True)
            if options.folder:
                write_durably(options.folder / f"{published.size}.checkpoint", published.note)
            if published.size != last:
                signed = len(witnesses) - len(published.refusals)
                print(f"{published.size} entries, cosigned by {signed} witnesses", flush=True)
            last = published.size
        if not options.every:
            return 1 if published.refusals else 0
        time.sleep(options.every)


def run_witness(options: argparse.Namespace) -> int:
    """Cosign checkpoints over HTTP until it is stopped."""
    options.folder.mkdir(parents=True, exist_ok=True)
    witness = Witness(Signer.load(options.key), [_key(p) for p in options.log], options.folder)
    uvicorn.run(application(witness), host=options.host, port=options.port, log_level="warning")
    return 0


def write_receipt(options: argparse.Namespace) -> int:
    """Print the receipt of one entry as JSON."""
    try:
        receipt = options.ledger.receipt(options.id)
    except KeyError:
        raise ValueError(f"the ledger has no entry {options.id}") from None
    print(json.dumps(receipt, indent=1, ensure_ascii=False))
    return 0


def prove(options: argparse.Namespace) -> int:
    """Print the hashes of a consistency proof, in base64, one on a line."""
    newest = options.ledger.newest()
    longest = newest.size if newest else 0
    if not 0 <= options.old <= options.new <= longest:
        raise ValueError(f"sizes must be in order and at most {longest}, which is what was signed")
    for part in options.ledger.consistency_proof(options.old, options.new):
        print(base64.b64encode(part).decode())
    return 0


def show_status(options: argparse.Namespace) -> int:
    """Print what was signed; return 1 where entries wait for a signature for too long."""
    newest, end = options.ledger.newest(), reader.head(options.ledger.engine)
    if newest is None:
        print(f"nothing was signed; the ledger has {end.sequence} entries")
        return 1
    waiting = end.sequence - newest.size
    print(f"{newest.size} entries signed at {newest.time}, cosigned by {newest.cosignatures}")
    print(f"{waiting} entries since")
    age = datetime.now(UTC) - datetime.fromisoformat(newest.time)
    return int(waiting > 0 and age.total_seconds() > options.within)


def verify(options: argparse.Namespace) -> int:
    """Check the chain, its columns and its tree against checkpoints that were kept elsewhere."""
    notes = [path.read_text() for path in options.checkpoint]
    log, witnesses = _key(options.log), [_key(path) for path in options.witness]
    with ProcessPoolExecutor(1) as pool:
        chain = pool.submit(_verify_chain, options.database)
        seen = audit(options.ledger.engine, notes, log, witnesses, options.quorum)
        verification = chain.result()
    for finding in verification.findings:
        print(finding)
    if verification.total:
        raise Mismatch(f"{verification.total} findings")
    print(f"sound: {seen.entries} entries, of which {seen.witnessed} were witnessed")
    return 0


def _verify_chain(database: str | None) -> Verification:
    engine = open_engine(database_url(database), LONG_DEADLINE)
    try:
        return verify_chain(engine)
    finally:
        engine.dispose()


def _key(path: Path) -> Key:
    return Key.parse(path.read_text())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m service.transparency", description=__doc__)
    parser.add_argument("--database", metavar="URL", help="instead of DATABASE_URL")
    commands = parser.add_subparsers(required=True)

    new = commands.add_parser("keygen", help="make a pair of keys")
    new.add_argument("name", help="a name such as lender.example/ledger")
    new.add_argument("--type", choices=("log", "witness"), required=True)
    new.add_argument("--out", type=project.resolve, required=True, help="file of the private key")
    new.set_defaults(run=make_key)

    signing = commands.add_parser("publish", help="sign checkpoints and have them cosigned")
    signing.add_argument(
        "--key", type=project.resolve, required=True, help="private key of the log"
    )
    signing.add_argument(
        "--witness",
        nargs=2,
        action="append",
        default=[],
        metavar=("URL", "PUBLIC_KEY"),
        help="a witness's address, and the file of its public key",
    )
    signing.add_argument(
        "--folder", type=project.resolve, help="where each checkpoint is kept as a file"
    )
    signing.add_argument("--every", type=float, metavar="SECONDS", help="go on until stopped")
    signing.set_defaults(run=publish)

    watching = commands.add_parser("witness", help="cosign checkpoints that extend what was seen")
    watching.add_argument(
        "--key", type=project.resolve, required=True, help="private key of the witness"
    )
    watching.add_argument(
        "--log", type=project.resolve, nargs="+", required=True, help="public keys of logs"
    )
    watching.add_argument(
        "--folder", type=project.resolve, required=True, help="where it keeps what it saw"
    )
    watching.add_argument("--host", default="127.0.0.1")
    watching.add_argument("--port", type=int, default=8610)
    watching.set_defaults(run=run_witness)

    receipt = commands.add_parser("receipt", help="print the receipt of one entry")
    receipt.add_argument("id")
    receipt.set_defaults(run=write_receipt)

    status = commands.add_parser("status", help="say what was signed; for health checks")
    status.add_argument(
        "--within", type=float, default=600, metavar="SECONDS", help="how long entries may wait"
    )
    status.set_defaults(run=show_status)

    proving = commands.add_parser("prove", help="print a consistency proof of two sizes")
    proving.add_argument("old", type=int)
    proving.add_argument("new", type=int)
    proving.set_defaults(run=prove)

    checking = commands.add_parser("verify", help="hold the ledger against signed checkpoints")
    checking.add_argument(
        "checkpoint", type=project.resolve, nargs="+", help="checkpoints kept elsewhere"
    )
    checking.add_argument(
        "--log", type=project.resolve, required=True, help="public key of the log"
    )
    checking.add_argument(
        "--witness", type=project.resolve, nargs="*", default=[], help="public keys"
    )
    checking.add_argument("--quorum", type=int, default=2, help="cosignatures that are needed")
    checking.set_defaults(run=verify)
    return parser


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
