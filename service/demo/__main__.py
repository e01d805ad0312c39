"""Run a demonstration: the service, its dashboard, and traffic that drifts.

Decisions are recorded in a separate ledger in build/demo, which is emptied when a demo starts. Its
alerts and its request to retrain go only to this terminal. A challenger that refers more scores
the decisions in shadow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from service import serve, settings
from service.decision.hashes import NotReady
from service.demo.receiver import receiving
from service.demo.story import CHAPTERS, Chapter, narrate
from service.ready import is_ready
from service.serve import CannotServe
from service.shadow import challenger
from stages import project

FOLDER = serve.ROOT / "build/demo"
REFER_BAND = 0.5  # of the challenger's policy, which has the champion's model
RATE = 20  # applications a second
STOP_TIMEOUT = 10.0  # seconds in which a process must end after SIGTERM


def environment(folder: Path) -> dict[str, str]:
    """Return the environment variables of the demo: a ledger in `folder`, no keys, no alerts.

    Requests are not logged: two thousand lines would hide the story.
    """
    unset = ("CREDIT_PD_API_KEYS", "ALERT_WEBHOOK", "ALERT_SMTP", "RETRAIN_REPOSITORY")
    ledger = {"DATABASE_URL": f"sqlite:///{folder / 'decisions.sqlite'}"}
    changed = {"CREDIT_PD_MATURITY_DAYS": "0", "CREDIT_PD_REQUEST_LOG": "off"}
    return os.environ | dict.fromkeys(unset, "") | ledger | changed


def reporting_to(address: str, folder: Path) -> dict[str, str]:
    """Return the variables that send alerts and the request to retrain to an address."""
    token = folder / "token"
    token.write_text("of the demo, which nothing checks\n")
    return {
        "ALERT_WEBHOOK": address,
        "RETRAIN_REPOSITORY": "demo/credit",
        "RETRAIN_TOKEN_FILE": str(token),
        "GITHUB_API_URL": address,
    }


def add_challenger(folder: Path) -> dict[str, str]:
    """Make a challenger with the winner's model, which refers more; return its setting.

    Raises CannotServe where the winner's files are not those that dvc.lock states.
    """
    packed = folder / "challenger"
    try:
        challenger.pack(serve.ROOT, packed)
    except NotReady as error:
        raise CannotServe(str(error)) from error
    config = packed / challenger.PARAMETERS
    content = yaml.safe_load(config.read_text())
    content["policy"]["refer_band"] = REFER_BAND
    config.write_text(yaml.safe_dump(content, sort_keys=False))
    return {"CREDIT_PD_CHALLENGER": str(packed)}


def instructions(port: int) -> str:
    """Return the text that tells which pages to open while the demo runs."""
    drift = datetime.now(UTC) + timedelta(seconds=CHAPTERS[0].seconds)
    return f"""
  http://127.0.0.1:{port}        decide about an application
  http://127.0.0.1:{port}/docs   the API
  http://127.0.0.1:{settings.load().dashboard_port}        the dashboard, which follows by itself

Until about {drift:%H:%M:%S} UTC the applications look like the training data;
then every income is halved, and later the loans turn out worse than expected.
This demo records its decisions in {FOLDER}. Ctrl-C ends the demo.
"""


def say(line: str) -> None:
    """Print a line of the story with the time in UTC."""
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


def traffic_command(port: int, chapter: Chapter) -> list[str]:
    """Return the command that sends the traffic of a chapter."""
    rate = ("--rate", str(RATE), "--seconds", str(chapter.seconds))
    url = f"http://127.0.0.1:{port}"
    return [sys.executable, "-m", "service.traffic", "--url", url, *rate, *chapter.options]


def run(port: int) -> None:
    """Run the demo until the service ends or the user interrupts it.

    Raises CannotServe when the service ends before it is ready.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    variables = environment(FOLDER) | {"CREDIT_PD_PAGE_URL": f"http://127.0.0.1:{port}"}
    variables |= add_challenger(FOLDER)
    with receiving(say) as address:
        processes = start(port, variables | reporting_to(address, FOLDER))
        try:
            wait_until_ready(port, processes[0])
            print(instructions(port), flush=True)
            with narrate(variables["DATABASE_URL"], say):
                tell(port, variables)
            say("--- A challenger that refers more has scored the same applications in shadow.")
            compare = [sys.executable, "-m", "service.shadow", "report"]
            subprocess.run(compare, cwd=serve.ROOT, env=variables, check=False)
            say("The story has ended; the dashboard shows it all. Ctrl-C ends the demo.")
            processes[0].wait()
        finally:
            stop(processes)


def start(port: int, variables: dict[str, str]) -> list[subprocess.Popen[bytes]]:
    """Start the service and the dashboard."""
    commands = (serve.command(port), [sys.executable, "-m", "service.dashboard"])
    return [subprocess.Popen(each, cwd=serve.ROOT, env=variables) for each in commands]


def wait_until_ready(port: int, service: subprocess.Popen[bytes]) -> None:
    """Wait until the service answers; raises CannotServe when it ends before."""
    while not is_ready(port):
        if service.poll() is not None:
            raise CannotServe("the service ended before it was ready; its messages are above")
        time.sleep(1)


def tell(port: int, variables: dict[str, str]) -> None:
    """Send the traffic of every chapter, one after the other."""
    for number, chapter in enumerate(CHAPTERS, 1):
        say(f"--- {number}. {chapter.words}")
        command = traffic_command(port, chapter)
        done = subprocess.run(
            command, cwd=serve.ROOT, env=variables, check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            say("the traffic was refused; its message is above")


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes, by force where they do not end in time."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()


def main() -> None:
    """Check the files and the ports that the demo needs, then run it."""
    parser = argparse.ArgumentParser("python -m service.demo", description=__doc__)
    parser.add_argument("--port", type=serve.port_number, default=serve.PORT)
    port = parser.parse_args().port
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # ends what it started, as Ctrl-C does
    try:
        serve.check_files()
        serve.check_port(port, "PORT")
        serve.check_port(settings.load().dashboard_port, "DASHBOARD_PORT")
        run(port)
    except CannotServe as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    project.enter()
    main()
