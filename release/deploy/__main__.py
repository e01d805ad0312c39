"""Deploy an image on every serving host through SSM Run Command, and believe only evidence.

    python -m release.deploy --image sha256:DIGEST [--git-commit SHA]
    python -m release.deploy --rollback     what every host had before, by its digest
    python -m release.deploy --verify sha256:DIGEST
    python -m release.deploy --status

The hosts are those with the tag of the document's name; one after another runs the host script
(release/deploy/host) through the stack's own document, which admits a digest and `--status` and no
other word. The first failure stops the rest. Success is what the hosts themselves say that they
serve. Region and credentials come from the environment. Exit status: 0 done, 1 failed, 2 wrong
arguments.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from dataclasses import dataclass
from typing import Any, TypeVar

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from release.steps import hand_on
from stages import project

DOCUMENT = "credit-pd-deploy"  # of release/deploy/infra/host.yaml
LOG = "/credit-pd/deployments"
TAG = "credit-pd"  # hosts carry it with the value `serving`
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
UNDER_WAY = ("Pending", "InProgress", "Delayed", "Cancelling")
DELIVERY_SECONDS = 120
PATIENCE = 1800.0  # for all hosts together
POLL_SECONDS = 2.0
Value = TypeVar("Value")


class Failed(Exception):
    """The deployment is not known to have succeeded; the message says what is known."""


@dataclass(frozen=True)
class Outcome:
    """What one host did: SSM's status and what the host script printed."""

    host: str
    status: str
    output: str
    errors: str

    def __str__(self) -> str:
        text = f"{self.output}{self.errors}".rstrip().replace("\n", "\n    ")
        return f"{self.host}: {self.status}\n    {text}"


class Fleet:
    """The serving hosts, as SSM reaches them."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.ssm = botocore.session.get_session().create_client("ssm")
        self.patience = patience

    def run(self, release: str, git_commit: str = "") -> list[Outcome]:
        """Run the document on every host; `Failed` unless at least one did and all succeeded."""
        commit = {"GitCommit": [git_commit]} if git_commit else {}
        sent = self.ssm.send_command(
            DocumentName=DOCUMENT,
            Targets=[{"Key": f"tag:{TAG}", "Values": ["serving"]}],
            Parameters={"Release": [release], **commit},
            TimeoutSeconds=DELIVERY_SECONDS,
            MaxConcurrency="1",
            MaxErrors="0",
            CloudWatchOutputConfig={"CloudWatchLogGroupName": LOG, "CloudWatchOutputEnabled": True},
        )
        command = self.finished(sent["Command"]["CommandId"])
        outcomes = [self.outcome(command["CommandId"], host) for host in self.reached(command)]
        counts = {command["TargetCount"], command["CompletedCount"], len(outcomes)}
        words = "\n".join(map(str, outcomes))
        if not outcomes or len(counts) > 1 or {each.status for each in outcomes} != {"Success"}:
            held = f"{command['StatusDetails']}, {command['TargetCount']} hosts were meant"
            raise Failed(f"SSM says {held}, {command['CompletedCount']} are done\n{words}")
        return outcomes

    def finished(self, command_id: str) -> dict[str, Any]:
        """The command when it is over; `Failed` when patience is."""
        until = time.monotonic() + self.patience
        while True:
            listed = self.ssm.list_commands(CommandId=command_id)["Commands"]
            found: dict[str, Any] = listed[0] if listed else {"Status": "Pending"}
            if found["Status"] not in UNDER_WAY:
                return found
            if time.monotonic() > until:
                raise Failed(
                    f"the command {command_id} is {found['Status']} after {self.patience:.0f} s; "
                    "the hosts go on without us: look with --status"
                )
            time.sleep(POLL_SECONDS)

    def reached(self, command: dict[str, Any]) -> list[str]:
        """Return the hosts that got the command."""
        pages = self.ssm.get_paginator("list_command_invocations")
        found = pages.paginate(CommandId=command["CommandId"])
        return sorted(each["InstanceId"] for page in found for each in page["CommandInvocations"])

    def outcome(self, command_id: str, host: str) -> Outcome:
        """What one host did and printed; SSM keeps 24,000 characters."""
        found = self.ssm.get_command_invocation(CommandId=command_id, InstanceId=host)
        output, errors = found["StandardOutputContent"], found["StandardErrorContent"]
        return Outcome(host, found["StatusDetails"], output, errors)

    def status(self) -> dict[str, dict[str, Any]]:
        """By host: its `live` and `previous` release, and the image it `served` to itself now."""
        return {each.host: _status(each) for each in self.run("--status")}


def _status(outcome: Outcome) -> dict[str, Any]:
    try:
        found = json.loads(outcome.output)
        return {key: found[key] for key in ("live", "previous", "served")}
    except (ValueError, KeyError, TypeError):
        raise Failed(f"this is no status of a host\n{outcome}") from None


def agreed(known: dict[str, Value], what: str) -> Value:
    """What all hosts say alike; `Failed` with what each says where they differ."""
    found = list(known.values())
    if any(each != found[0] for each in found):
        lines = "\n".join(f"    {host}: {each}" for host, each in known.items())
        raise Failed(f"the hosts differ in {what}; say which by --image DIGEST\n{lines}")
    return found[0]


def deploy(fleet: Fleet, digest: str, git_commit: str) -> None:
    """Deploy a digest everywhere; `Failed` where a host does not say that it is live."""
    for each in fleet.run(digest, git_commit):
        print(each)
        if not re.search(rf"^live: \S+ \S+@{digest}$", each.output, re.MULTILINE):
            raise Failed(f"{each.host} does not say that {digest} is live there")
    verify(fleet, digest)


def verify(fleet: Fleet, digest: str) -> None:
    """Ask every host what it serves; `Failed` unless that is the digest."""
    for host, each in fleet.status().items():
        if each["served"].rpartition("@")[2] != digest:
            raise Failed(f"{host} must serve {digest}; it serves {each['served']}")
        print(f"{host}: serves {each['served']}")


def previous(fleet: Fleet) -> tuple[str, str]:
    """Digest and git commit that every host had before the live one."""
    known = fleet.status()
    agreed(
        {host: (each["live"] or {}).get("image") for host, each in known.items()}, "what is live"
    )
    before = agreed({host: each["previous"] for host, each in known.items()}, "what was before")
    if not before:
        raise Failed("there is no previous release to go back to")
    return before["image"].rpartition("@")[2], before["identity"].get("git_commit") or ""


def parse(words: list[str] | None) -> argparse.Namespace:
    """Return the arguments: exactly one of --image, --rollback, --verify and --status."""
    parser = argparse.ArgumentParser(prog="release.deploy", description="Deploy on all hosts.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--image", type=digest, help="digest to deploy, sha256:...")
    what.add_argument("--rollback", action="store_true", help="deploy what was live before")
    what.add_argument("--verify", type=digest, metavar="IMAGE", help="check what is served")
    what.add_argument("--status", action="store_true", help="print what each host says")
    parser.add_argument("--git-commit", default="", help="commit that the image must name")
    parser.add_argument("--wait", type=float, default=PATIENCE, help="seconds for all hosts")
    parser.add_argument("--output", type=project.resolve, help="append image=DIGEST there")
    return parser.parse_args(words)


def digest(word: str) -> str:
    """A digest, also out of REPOSITORY@DIGEST; an argparse type."""
    found = word.rpartition("@")[2]
    if not DIGEST.fullmatch(found):
        raise argparse.ArgumentTypeError(f"must be sha256:<64 hexadecimal digits>; got {word!r}")
    return found


def run(fleet: Fleet, given: argparse.Namespace) -> None:
    """Do what the command line asks."""
    if given.status:
        print(json.dumps(fleet.status(), indent=1))
    elif given.verify:
        verify(fleet, given.verify)
    else:
        image, git_commit = given.image, given.git_commit
        if given.rollback:
            image, git_commit = previous(fleet)
        deploy(fleet, image, git_commit)
        hand_on(given.output, image=image)


def main(words: list[str] | None = None) -> int:
    """Run the command line; every failure is one message on standard error."""
    given = parse(words)
    try:
        run(Fleet(given.wait), given)
    except Failed as failure:
        print(f"failed: {failure}", file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"failed: {error}; region and credentials come from the environment", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
