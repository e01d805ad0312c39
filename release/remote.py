"""Move data and models to and from the S3 remote, with words a person can act on.

    python -m release.remote push     # data, models and the run-cache
    python -m release.remote pull     # what dvc.lock and the .dvc files name
    python -m release.remote check    # is all of it in the remote?
    python -m release.remote check --local   # is the cache here whole? repairs it from the remote

Credentials come from the environment (keys, a profile, or the role of a job), never from files of
this repository. Exit status: 0 done, 1 not done, with the reason.
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

from release.dvc_state import Storage, advised, storage, told
from release.revisions import CannotJudge
from release.steps import ended
from stages import project

VERBS = ("push", "pull", "check")
WORDLESS = r"\(403\) when calling the HeadObject"  # what DVC asks first; S3 gives no reason


class Failed(Exception):
    """The remote does not hold, give or take what it should; the message says what to do."""


def push(held: Storage) -> str:
    """Push all that is named, with the run-cache; then ask the remote whether it has it."""
    said = dvc("push", "--run-cache")
    demand(held)
    return said


def pull(held: Storage) -> str:
    """Pull all that is named; Failed names the objects that did not come whole."""
    try:
        return dvc("pull")
    except Failed as failure:
        if "Checkout failed" not in str(failure):
            raise
        cache, named = held.repo.cache.local, held.named()
        lost = [f"{path} ({key(oid)})" for oid, path in named.items() if not cache.exists(oid)]
        raise Failed(
            f"damaged or missing in the remote: {', '.join(lost)}; delete those objects if they "
            "are there, then run `python -m release.remote push` where the files are whole "
            "(`dvc repro` makes them again)"
        ) from None


def check(held: Storage) -> str:
    """Failed unless the remote can be reached and has everything that is named."""
    dvc("status", "--cloud")
    demand(held)
    return "The remote has everything that dvc.lock and the .dvc files name."


def check_cache(held: Storage) -> str:
    """Hold every object of the cache against its hash; fetch those that are damaged anew.

    Failed where one is damaged and the remote does not have it whole.
    """
    with told("the DVC cache"):
        named = held.named()
        damaged = {oid: path for oid, path in named.items() if held.is_damaged(oid)}
    with told("the remote"):
        restored = {oid: path for oid, path in damaged.items() if held.restore(oid)}
    if lost := [f"{path} ({key(oid)})" for oid, path in damaged.items() if oid not in restored]:
        raise Failed(
            f"damaged in the cache and not whole in the remote: {', '.join(lost)}; delete them "
            "from the cache, then run `dvc repro`, which makes them again"
        )
    repaired = [
        f"Repaired from the remote: {path} ({key(oid)}) was damaged in the cache; run "
        "`dvc checkout` where files were checked out from it"
        for oid, path in restored.items()
    ]
    return "\n".join([*repaired, "The cache is whole: what it has is what dvc.lock and .dvc name."])


def demand(held: Storage) -> None:
    """Failed unless the remote has every object that dvc.lock and the .dvc files name."""
    if lost := held.not_pushed():
        raise Failed(
            f"not in the remote: {', '.join(lost)}; run `python -m release.remote push` where "
            "these files are"
        )


def key(oid: str) -> str:
    """Return the path of an object below the remote's URL."""
    return f"files/md5/{oid[:2]}/{oid[2:]}"


def dvc(*words: str) -> str:
    """What a command of DVC says; Failed with advice where it fails."""
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        error = reason(done.stderr)
        if re.search(WORDLESS, error):
            error = asked() or error
        raise Failed(f"{advised(error)} ({error})")
    return done.stdout.strip()


def asked() -> str:
    """What S3 says when it is asked to list the remote; nothing where it lists it."""
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


def reason(said: str) -> str:
    """Return the first error that DVC reports, without its decoration."""
    errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    first = errors[0] if errors else said.strip()
    return first.removeprefix("ERROR: ").removeprefix("unexpected error - ")


def run(verb: str, *, local: bool = False) -> str:
    """Do what the command line asks; returns what to print."""
    with storage(remote=True) as held:
        return {"push": push, "pull": pull, "check": check_cache if local else check}[verb](held)


def main(words: list[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    parser = argparse.ArgumentParser(prog="release.remote", description="The S3 remote.")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--local", action="store_true", help="check and repair the cache instead")
    given = parser.parse_args(words)
    if given.local and given.verb != "check":
        parser.error("--local goes with check alone")
    return ended(
        f"remote: cannot {given.verb}",
        lambda: run(given.verb, local=given.local),
        Failed,
        CannotJudge,
    )


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
