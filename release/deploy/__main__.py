"""Deploy an image on every serving host through SSM Run Command, and verify what they serve.

    python -m release.deploy --image sha256:DIGEST [--git-commit SHA] [--replaces DIGEST]
    python -m release.deploy --rollback     # deploy the image that every host had before
    python -m release.deploy --verify sha256:DIGEST
    python -m release.deploy --status

The hosts are the instances with the tag TAG. They run the host script (release/deploy/host) one
after another through the stack's SSM document, which accepts only a digest or `--status`. The first
failure stops the deployment. It has succeeded when every host reports that it serves the image.
Region and credentials come from the environment. Exit status: 0 done, 1 failed, 2 wrong arguments.
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

from release.steps import write_outputs
from stages import project

DOCUMENT = "credit-pd-deploy"  # of release/deploy/infra/host.yaml
LOG = "/credit-pd/deployments"
TAG = "credit-pd"  # hosts carry it with the value `serving`
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
UNDER_WAY = ("Pending", "InProgress", "Delayed", "Cancelling")
DELIVERY_SECONDS = 120
TIMEOUT = 1800.0  # seconds in which all hosts must have finished
POLL_SECONDS = 2.0
Value = TypeVar("Value")


class NotLive(Exception):
    """The deployment failed, or its result is not known; the message says what is known."""


@dataclass(frozen=True)
class HostResult:
    """The result of one host: SSM's status and the output of the host script."""

    host: str
    status: str
    output: str
    errors: str

    def __str__(self) -> str:
        text = f"{self.output}{self.errors}".rstrip().replace("\n", "\n    ")
        return f"{self.host}: {self.status}\n    {text}"


class Fleet:
    """The serving hosts, on which SSM runs commands."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self.ssm = botocore.session.get_session().create_client("ssm")
        self.timeout = timeout

    def run(self, release: str, git_commit: str = "", *, older: bool = False) -> list[HostResult]:
        """Run the document on every host and return the outcomes.

        Raises NotLive unless all hosts succeeded and there is at least one.
        """
        given = {"GitCommit": [git_commit]} if git_commit else {}
        if older:
            given["Older"] = ["allow"]
        sent = self.ssm.send_command(
            DocumentName=DOCUMENT,
            Targets=[{"Key": f"tag:{TAG}", "Values": ["serving"]}],
            Parameters={"Release": [release], **given},
            TimeoutSeconds=DELIVERY_SECONDS,
            MaxConcurrency="1",
            MaxErrors="0",
            CloudWatchOutputConfig={"CloudWatchLogGroupName": LOG, "CloudWatchOutputEnabled": True},
        )
        command = self.wait_for(sent["Command"]["CommandId"])
        outcomes = [
            self.outcome(command["CommandId"], host) for host in self.reached_hosts(command)
        ]
        counts = {command["TargetCount"], command["CompletedCount"], len(outcomes)}
        details = "\n".join(map(str, outcomes))
        if not outcomes or len(counts) > 1 or {o.status for o in outcomes} != {"Success"}:
            counts_text = (
                f"{command['TargetCount']} hosts were meant, {command['CompletedCount']} are done"
            )
            raise NotLive(f"SSM says {command['StatusDetails']}, {counts_text}\n{details}")
        return outcomes

    def wait_for(self, command_id: str) -> dict[str, Any]:
        """Return SSM's description of a command that has ended; NotLive after the timeout."""
        until = time.monotonic() + self.timeout
        while True:
            listed = self.ssm.list_commands(CommandId=command_id)["Commands"]
            command: dict[str, Any] = listed[0] if listed else {"Status": "Pending"}
            if command["Status"] not in UNDER_WAY:
                return command
            if time.monotonic() > until:
                raise NotLive(
                    f"the command {command_id} is {command['Status']} after {self.timeout:.0f} s; "
                    "the hosts continue with it: see --status"
                )
            time.sleep(POLL_SECONDS)

    def reached_hosts(self, command: dict[str, Any]) -> list[str]:
        """Return the instance ids of the hosts that received the command."""
        pages = self.ssm.get_paginator("list_command_invocations")
        answers = pages.paginate(CommandId=command["CommandId"])
        return sorted(run["InstanceId"] for page in answers for run in page["CommandInvocations"])

    def outcome(self, command_id: str, host: str) -> HostResult:
        """Return the result of one host; SSM keeps 24,000 characters of its output."""
        result = self.ssm.get_command_invocation(CommandId=command_id, InstanceId=host)
        output, errors = result["StandardOutputContent"], result["StandardErrorContent"]
        return HostResult(host, result["StatusDetails"], output, errors)

    def status(self) -> dict[str, dict[str, Any]]:
        """Return each host's `live` and `previous` release, and the image it has `served` now."""
        return {outcome.host: _status(outcome) for outcome in self.run("--status")}


def _status(outcome: HostResult) -> dict[str, Any]:
    try:
        status = json.loads(outcome.output)
        return {key: status[key] for key in ("live", "previous", "served")}
    except (ValueError, KeyError, TypeError):
        raise NotLive(f"the host did not print its status\n{outcome}") from None


def common_value(by_host: dict[str, Value], what: str) -> Value:
    """Return the value that all hosts have in common; raises NotLive when they differ."""
    values = list(by_host.values())
    if any(value != values[0] for value in values):
        lines = "\n".join(f"    {host}: {value}" for host, value in by_host.items())
        raise NotLive(f"the hosts differ in {what}; choose one with --image DIGEST\n{lines}")
    return values[0]


def deploy(fleet: Fleet, digest: str, git_commit: str, *, older: bool) -> None:
    """Deploy a digest on every host; raises NotLive when a host does not report that it is live.

    Hosts refuse an image that was released before the live one, unless it may be `older`.
    """
    for outcome in fleet.run(digest, git_commit, older=older):
        print(outcome)
        if not re.search(rf"^live: \S+ \S+@{digest}$", outcome.output, re.MULTILINE):
            raise NotLive(f"{outcome.host} does not say that {digest} is live there")
    verify(fleet, digest)


def verify(fleet: Fleet, digest: str) -> None:
    """Raise NotLive unless every host serves the digest."""
    for host, status in fleet.status().items():
        if status["served"].rpartition("@")[2] != digest:
            raise NotLive(f"{host} must serve {digest}; it serves {status['served']}")
        print(f"{host}: serves {status['served']}")


def check_replaced(fleet: Fleet, digest: str, before: str) -> None:
    """Raise NotLive unless every host still has live what was judged against, or the new image."""
    for host, status in fleet.status().items():
        live = (status["live"] or {}).get("image", "").rpartition("@")[2]
        if live not in (before, digest):
            raise NotLive(
                f"{digest} was judged against {before}, and by now {live or 'nothing'} is live on "
                f"{host}: run all jobs of this release again, to judge it anew"
            )


def previous(fleet: Fleet) -> tuple[str, str]:
    """Return the digest and the git commit of the release before the live one.

    Raises NotLive when the hosts differ, or when there is no such release.
    """
    by_host = fleet.status()
    live = {host: (status["live"] or {}).get("image") for host, status in by_host.items()}
    common_value(live, "what is live")
    before = common_value(
        {host: status["previous"] for host, status in by_host.items()}, "what was before"
    )
    if not before:
        raise NotLive("there is no previous release to go back to")
    return before["image"].rpartition("@")[2], before["identity"].get("git_commit") or ""


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options: exactly one of --image, --rollback, --verify and --status."""
    parser = argparse.ArgumentParser(
        prog="python -m release.deploy", description="Deploy on all hosts."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--image", type=digest, help="digest to deploy, sha256:...")
    what.add_argument("--rollback", action="store_true", help="deploy what was live before")
    what.add_argument("--verify", type=digest, metavar="IMAGE", help="check what is served")
    what.add_argument("--status", action="store_true", help="print the status of each host")
    parser.add_argument("--git-commit", default="", help="commit that the image must name")
    expected = "with --image: the digest that must be live before, if one was"
    parser.add_argument("--replaces", type=lambda text: text and digest(text), help=expected)
    parser.add_argument("--wait", type=float, default=TIMEOUT, help="seconds for all hosts")
    parser.add_argument("--output", type=project.resolve, help="append image=DIGEST there")
    return parser.parse_args(arguments)


def digest(text: str) -> str:
    """Return the digest in DIGEST or REPOSITORY@DIGEST (an argparse type)."""
    value = text.rpartition("@")[2]
    if not DIGEST.fullmatch(value):
        raise argparse.ArgumentTypeError(f"must be sha256:<64 hexadecimal digits>; got {text!r}")
    return value


def run(fleet: Fleet, options: argparse.Namespace) -> None:
    """Print the status, verify, or deploy an image, as the options ask."""
    if options.status:
        print(json.dumps(fleet.status(), indent=1))
    elif options.verify:
        verify(fleet, options.verify)
    else:
        image, git_commit = options.image, options.git_commit
        if options.rollback:
            image, git_commit = previous(fleet)
        elif options.replaces:
            check_replaced(fleet, image, options.replaces)
        deploy(fleet, image, git_commit, older=options.rollback)
        write_outputs(options.output, image=image)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status; a failure prints one message."""
    options = parse_arguments(arguments)
    try:
        run(Fleet(options.wait), options)
    except NotLive as failure:
        print(f"failed: {failure}", file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"failed: {error}; region and credentials come from the environment", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
