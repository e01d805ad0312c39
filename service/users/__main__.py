"""Manage API keys: `python -m service.users add NAME --roles decide,read --expires 2027-01-01`.

`add` prints the key once; the file keeps its SHA-256. A second key of the same name serves to
replace the first: add it, give it to its holder, and revoke the first by its digest. A running
service notices every change of the file within a second.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from service import settings
from service.settings import SettingsError
from service.users.api_keys import ApiKey, new_key, read_file, write_file
from service.users.callers import ROLES


def main(arguments: list[str] | None = None) -> None:
    """Run the command of the command line; a mistake ends with one message."""
    options = _parser().parse_args(arguments)
    try:
        path = Path(options.file or settings.load().users_file)
        if path == Path():
            raise ValueError("name the file of keys with --file, or set CREDIT_PD_USERS")
        keys = read_file(path) if options.command != "add" or path.exists() else []
        COMMANDS[options.command](options, path, keys)
    except OSError as error:
        sys.exit(f"users: {path} cannot be written: {error.strerror}")
    except (ValueError, SettingsError) as error:
        sys.exit(f"users: {error}")


def add(options: argparse.Namespace, path: Path, keys: list[ApiKey]) -> None:
    """Add a key to the file and print it."""
    try:
        expires = date.fromisoformat(options.expires)
    except ValueError:
        raise ValueError(f"--expires must be a date YYYY-MM-DD; got {options.expires!r}") from None
    if expires <= datetime.now(UTC).date():
        raise ValueError(f"--expires must be after today; got {expires}")
    key, kept = new_key(options.name, options.roles.split(","), expires)
    write_file(path, [*keys, kept])
    print(f"The key of {options.name}, which is shown only now:", file=sys.stderr)
    print(key)


def print_keys(options: argparse.Namespace, path: Path, keys: list[ApiKey]) -> None:
    """Print the keys with the first digits of their digests."""
    for key in keys:
        name, roles, expires, digest = str(key).split()
        print(f"{name:20} {expires}  {digest[:12]}  {roles}")


def revoke(options: argparse.Namespace, path: Path, keys: list[ApiKey]) -> None:
    """Remove the keys with this name, or with a digest that begins with these digits."""
    wanted = options.name
    left = [
        key
        for key in keys
        if key.caller.name != wanted
        and not (len(wanted) >= 12 and key.digest.hex().startswith(wanted))
    ]
    if len(left) == len(keys):
        raise ValueError(f"{path} has no key of {wanted!r}; `list` shows names and digests")
    write_file(path, left)
    print(f"Revoked: {len(keys) - len(left)}", file=sys.stderr)


COMMANDS = {"add": add, "list": print_keys, "revoke": revoke}


def _parser() -> argparse.ArgumentParser:
    roles = "; ".join(f"{role} {does}" for role, does in ROLES.items())
    parser = argparse.ArgumentParser(
        "python -m service.users", description=__doc__, epilog=f"Roles: {roles}."
    )
    parser.add_argument("--file", help="the file of keys; the default is CREDIT_PD_USERS")
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="add a key and print it once")
    adding.add_argument("name")
    adding.add_argument("--roles", required=True, help="roles, separated by commas")
    adding.add_argument("--expires", required=True, help="the day on which it ends, YYYY-MM-DD")
    commands.add_parser("list", help="list the keys")
    revoking = commands.add_parser("revoke", help="remove keys")
    revoking.add_argument("name", help="a name, or the first 12 digits of a digest")
    return parser


if __name__ == "__main__":
    main()
