"""Push data and models to the S3 remote, pull them, or check that they are there.

    python -m release.remote push     # data, models and the run-cache
    python -m release.remote pull     # what dvc.lock and the .dvc files name
    python -m release.remote check    # whether the remote has all of them
    python -m release.remote check --local   # whether the local cache is undamaged; repairs it

Credentials come from the environment (keys, a profile, or the role of a job), never from files of
this repository. Exit status: 0 done, 1 failed, with a message that says what to do.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from urllib.parse import urlsplit

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError
from dvc.config import Config
from dvc.repo import Repo

from release.dvc_state import Storage, advice_for, explain_errors, open_storage
from release.revisions import CannotJudge
from release.steps import run_command
from stages import project

VERBS = ("push", "pull", "check")
WORDLESS = r"\(403\) when calling the HeadObject"  # DVC's first request; S3 states no reason


class RemoteError(Exception):
    """A push, pull or check failed; the message says what to do."""


def push(storage: Storage) -> str:
    """Push all objects and the run-cache, check that they arrived, and return DVC's output."""
    printed = dvc("push", "--run-cache")
    require_pushed(storage)
    return printed


def pull(storage: Storage) -> str:
    """Pull all objects and return DVC's output; RemoteError names the missing or damaged ones."""
    try:
        return dvc("pull")
    except RemoteError as failure:
        if "Checkout failed" not in str(failure):
            raise
        cache, paths = storage.repo.cache.local, storage.objects()
        lost = [f"{path} ({key(oid)})" for oid, path in paths.items() if not cache.exists(oid)]
        raise RemoteError(
            f"damaged or missing in the remote: {', '.join(lost)}; delete those objects if they "
            "are there, then run `python -m release.remote push` where the files are whole "
            "(`dvc repro` makes them again)"
        ) from None


def check(storage: Storage) -> str:
    """Return a message that the remote has every object; raises RemoteError when it has not."""
    dvc("status", "--cloud")
    require_pushed(storage)
    return "The remote has everything that dvc.lock and the .dvc files name."


def check_cache(storage: Storage) -> str:
    """Compare every object of the cache with its hash, and fetch the damaged ones again.

    Returns a message about what was repaired. Raises RemoteError when an object is damaged in the
    cache and missing or damaged in the remote.
    """
    with explain_errors("the DVC cache"):
        paths = storage.objects()
        damaged = {oid: path for oid, path in paths.items() if storage.is_damaged(oid)}
    with explain_errors("the remote"):
        restored = {oid: path for oid, path in damaged.items() if storage.restore(oid)}
    if lost := [f"{path} ({key(oid)})" for oid, path in damaged.items() if oid not in restored]:
        raise RemoteError(
            f"damaged in the cache and not whole in the remote: {', '.join(lost)}; delete them "
            "from the cache, then run `dvc repro`, which makes them again"
        )
    repaired = [
        f"Repaired from the remote: {path} ({key(oid)}) was damaged in the cache; run "
        "`dvc checkout` where files were checked out from it"
        for oid, path in restored.items()
    ]
    return "\n".join([*repaired, "The cache is sound: it has what dvc.lock and .dvc name."])


def require_pushed(storage: Storage) -> None:
    """Raise RemoteError unless the remote has all objects that dvc.lock and the .dvc files name."""
    if lost := storage.not_pushed():
        raise RemoteError(
            f"not in the remote: {', '.join(lost)}; run `python -m release.remote push` where "
            "these files are"
        )


def key(oid: str) -> str:
    """Return the path of an object below the remote's URL."""
    return f"files/md5/{oid[:2]}/{oid[2:]}"


def dvc(*arguments: str) -> str:
    """Return what a command of DVC prints; raises RemoteError with advice when it fails."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        error = reason(done.stderr)
        if re.search(WORDLESS, error):
            error = list_error() or error
        raise RemoteError(f"{advice_for(error)} ({error})")
    return done.stdout.strip()


def list_error() -> str:
    """Return S3's error when it is asked to list the remote, "" when it lists it."""
    config = Config(Repo.find_dvc_dir())
    remote = config["remote"][config["core"]["remote"]]
    url = urlsplit(remote["url"])
    session, endpoint = botocore.session.get_session(), remote.get("endpointurl")
    try:
        client = session.create_client("s3", endpoint_url=endpoint)
        client.list_objects_v2(Bucket=url.netloc, Prefix=url.path.strip("/"), MaxKeys=1)
    except (BotoCoreError, ClientError) as error:
        return str(error)
    return ""


def reason(printed: str) -> str:
    """Return the first error in DVC's output, without its prefix."""
    errors = [line for line in printed.splitlines() if line.startswith("ERROR: ")]
    first = errors[0] if errors else printed.strip()
    return first.removeprefix("ERROR: ").removeprefix("unexpected error - ")


def run(verb: str, *, local: bool = False) -> str:
    """Run push, pull or check, and return the text to print."""
    verbs = {"push": push, "pull": pull, "check": check_cache if local else check}
    with open_storage(remote=True) as storage:
        return verbs[verb](storage)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m release.remote", description="The S3 remote.")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--local", action="store_true", help="check and repair the cache instead")
    options = parser.parse_args(arguments)
    if options.local and options.verb != "check":
        parser.error("--local can only be used with `check`")
    return run_command(
        f"remote: cannot {options.verb}",
        lambda: run(options.verb, local=options.local),
        RemoteError,
        CannotJudge,
    )


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
