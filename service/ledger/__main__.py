"""Verify, back up and restore the decision ledger, erase personal data, and manage its tables.

Exit codes: 0 it is as it should be, 1 the chain is broken or entries are missing, 2 the command
failed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Engine

from service import settings
from service.ledger import reader
from service.ledger.backup import back_up, restore
from service.ledger.migrations import create, migrate, roles
from service.ledger.personal import command as erase_command
from service.ledger.storage.checkpoint import Checkpoint
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database import (
    LedgerUnavailable,
    connection_to,
    database_url,
    open_engine,
)
from service.ledger.storage.database_file import require_file
from service.ledger.storage.personal_tables import drop_after
from service.ledger.verify import command as verify_command
from stages import project


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        url = database_url(options.database)
        if options.command in ("verify", "backup", "erase"):
            require_file(url)
        engine = open_engine(url, LONG_DEADLINE)
        try:
            return _run(engine, options)
        finally:
            engine.dispose()
    except (LedgerUnavailable, ValueError) as error:
        print(f"ledger: {error}", file=sys.stderr)
        return 2


def _run(engine: Engine, options: argparse.Namespace) -> int:
    commands: dict[str, Callable[[Engine, argparse.Namespace], int]] = {
        "verify": verify_command.run,
        "erase": erase_command.run,
        "backup": _back_up,
        "restore": _restore,
        "migrate": _migrate,
        "roles": _create_roles,
        "init": _begin_anew,
    }
    return commands[options.command](engine, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m service.ledger", description=__doc__)
    parser.add_argument("--database", metavar="URL", help="instead of DATABASE_URL")
    commands = parser.add_subparsers(dest="command", required=True)
    verify_command.add_parser(commands)
    erase_command.add_parser(commands)
    saving = commands.add_parser("backup", help="copy the ledger into a file, while it is written")
    saving.add_argument(
        "path", type=project.resolve, help="a new file, which is a ledger in SQLite"
    )
    restoring = commands.add_parser("restore", help="copy a backup into an empty database")
    restoring.add_argument("path", type=project.resolve, help="a file that backup wrote")
    restoring.add_argument(
        "--signed",
        type=project.resolve,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint that a witness kept: say whether the backup is older; repeatable",
    )
    commands.add_parser("migrate", help="create the tables, or upgrade them while the service runs")
    roles_command = commands.add_parser(
        "roles",
        help="PostgreSQL, as the owner: create the tables of an empty database, and the roles "
        f"{', '.join(roles.ROLES)} with their rights",
    )
    roles_command.add_argument(
        "--account",
        nargs=3,
        action="append",
        default=[],
        metavar=("ROLE", "NAME", "PASSWORD_VARIABLE"),
        help="also create an account that has this role, or change its password, which stands in "
        "this environment variable; repeatable",
    )
    commands.add_parser(
        "init",
        help="accept the present content of the database, even if it is empty or lost entries",
    )
    return parser


def _migrate(engine: Engine, _: argparse.Namespace) -> int:
    print(f"the schema has revision {migrate(engine, Checkpoint(engine.url))}")
    return 0


def _back_up(engine: Engine, options: argparse.Namespace) -> int:
    end = back_up(engine, options.path)
    print(f"{options.path} holds {end.sequence} entries; the chain is sound; head {end}")
    return 0


def _restore(engine: Engine, options: argparse.Namespace) -> int:
    """Restore a backup; returns 1 when more entries were recorded than it holds."""
    known = {str(file): _signed_size(file) for file in options.signed}
    checkpoint = Checkpoint(engine.url)
    kept = checkpoint.read()
    if kept is not None:
        known[str(checkpoint.path)] = kept.sequence
    end = restore(options.path, engine)
    print(f"the ledger holds {end.sequence} entries again; the chain is sound; head {end}")
    older = {file: size for file, size in known.items() if size > end.sequence}
    for file, size in older.items():
        print(
            f"the backup is older than {file}, which knows {size} entries: {end.sequence + 1} to "
            f"{size} are missing. Restore a newer backup into another database, or accept the loss "
            "with `python -m service.ledger init`"
        )
    return 1 if older else 0


def _signed_size(file: Path) -> int:
    """Return the number of entries that a signed checkpoint names; `audit` checks signatures."""
    try:
        return int(file.read_text().splitlines()[1])
    except (OSError, ValueError, IndexError) as error:
        raise ValueError(f"--signed: {file} is no checkpoint that was signed: {error}") from error


def _create_roles(engine: Engine, options: argparse.Namespace) -> int:
    """Create the tables of an empty database, the roles, and accounts that have them."""
    accounts: Sequence[tuple[str, str, str]] = options.account
    for role, _, _ in accounts:
        if role not in roles.ROLES:
            raise ValueError(f"--account: ROLE must be one of {roles.ROLES}; got {role!r}")
    passwords = [settings.read_secret(variable) for _, _, variable in accounts]
    create(engine, Checkpoint(engine.url))
    with connection_to(engine) as connection:
        roles.create(connection)
        for (role, name, _), password in zip(accounts, passwords, strict=True):
            roles.set_account(connection, role, name, password)
            print(f"the account {name} has the role {role}")
        connection.commit()
    return 0


def _begin_anew(engine: Engine, _: argparse.Namespace) -> int:
    """Create missing tables, and write the checkpoint of what the database holds now."""
    checkpoint = Checkpoint(engine.url)
    if checkpoint.path.exists():
        aside = checkpoint.path.with_suffix(f".{time.time_ns()}")
        checkpoint.path.rename(aside)
        print(f"the previous checkpoint is kept in {aside}: {aside.read_text().strip()}")
    migrate(engine, checkpoint)
    head = reader.head(engine)
    with connection_to(engine) as connection:
        drop_after(connection, head.sequence)
        connection.commit()
    try:
        checkpoint.write(head)
    except OSError as error:
        raise LedgerUnavailable(f"cannot write {checkpoint.path}: {error.strerror}") from error
    print(f"the ledger holds {head.sequence} entries; head {head}")
    return 0


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
