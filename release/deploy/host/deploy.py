"""Deploy one image on this host without losing a request, or keep the old one.

    python3 -m release.deploy.host.deploy sha256:DIGEST [--git-commit SHA] [--older allow]
    python3 -m release.deploy.host.deploy --rollback
    python3 -m release.deploy.host.deploy --status

Exit status: 0 live, 1 refused (the old image serves), 2 wrong arguments or settings, 3 another
deployment is running.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from release.deploy.host import DeploymentRefused, RolledBack
from release.deploy.host.bluegreen import Host
from release.deploy.host.files import Busy, Release
from release.deploy.host.settings import HostSettings

SETTINGS = Path("/etc/credit-pd/host.env")


def attempt(host: Host, image: str, expected: dict[str, Any], *, older: bool) -> Release:
    """Deploy `image`, write the outcome to the history, and return the release.

    The ledger's schema is upgraded when the image is live: one that fails has changed nothing.

    Raises DeploymentRefused with the reason and the image that serves now.
    """
    try:
        release = host.deploy(image, expected, older=older)
    except (DeploymentRefused, OSError) as refusal:
        outcome = "rolled back" if isinstance(refusal, RolledBack) else "refused"
        host.state.note(image, outcome, str(refusal))
        raise DeploymentRefused(
            f"{outcome}: {image}: {refusal}\nserving now: {host.served_image()}"
        ) from None
    host.state.note(image, "live")
    try:
        host.tidy(release)
    except DeploymentRefused as refusal:
        print(f"live, but the old one could not be removed: {refusal}", file=sys.stderr)
    try:
        host.migrate(release)
    except DeploymentRefused as refusal:
        print(f"live, on the ledger's old schema: {refusal}", file=sys.stderr)
    return release


def previous(host: Host) -> tuple[str, dict[str, Any]]:
    """Return the image and the identity of the release before the live one."""
    release = host.state.releases()["previous"]
    if not release:
        raise DeploymentRefused("there is no previous release to go back to")
    return release.image, release.identity


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options: exactly one of IMAGE, --rollback and --status."""
    parser = argparse.ArgumentParser(
        prog="release.deploy.host.deploy", description="Blue/green switch."
    )
    parser.add_argument("image", nargs="?", help="sha256:... or REPOSITORY@sha256:...")
    parser.add_argument("--git-commit", help="commit that the image must say it was built from")
    parser.add_argument(
        "--older",
        choices=("refuse", "allow"),
        default="refuse",
        help="whether the image may have been released before the live one: a roll-back",
    )
    parser.add_argument("--rollback", action="store_true", help="deploy the previous image")
    parser.add_argument("--status", action="store_true", help="print what is live, as JSON")
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    options = parser.parse_args(arguments)
    if bool(options.image) + options.rollback + options.status != 1:
        parser.error("give exactly one of IMAGE, --rollback and --status")
    return options


def stop(number: int, frame: FrameType | None) -> None:
    """Raise DeploymentRefused at a signal, so that the deployment is undone; ignore a second."""
    signal.signal(number, signal.SIG_IGN)
    raise DeploymentRefused(f"interrupted by {signal.Signals(number).name}")


def run(host: Host, options: argparse.Namespace, image: str) -> int:
    """Deploy the image or roll back, and return the exit status."""
    with host.state.lock():
        expected: dict[str, Any] = {"git_commit": options.git_commit} if options.git_commit else {}
        if options.rollback:
            image, expected = previous(host)
        older = options.rollback or options.older == "allow"
        release = attempt(host, image, expected, older=older)
    print(f"live: {release.colour} {release.image}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status; a refusal prints one message."""
    options = parse_arguments(arguments)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        host = Host(HostSettings.read(options.settings))
        image = host.settings.reference(options.image) if options.image else ""
    except (DeploymentRefused, OSError) as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 2
    try:
        if options.status:
            print(json.dumps(host.status(), indent=1))
            return 0
        return run(host, options, image)
    except Busy as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 3
    except (DeploymentRefused, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
