"""Run the service, its dashboard and a minute of drifting traffic: `python -m service.demo`.

Decisions are recorded in a separate ledger in build/demo, which is emptied when a demo starts. The
demo sends no alert and starts no retraining.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from service import serve, settings
from service.ready import is_ready
from service.serve import CannotServe
from stages import project

FOLDER = serve.ROOT / "build/demo"
PHASE = 30  # seconds of traffic before the drift begins, and after
RATE = 20  # applications a second
DRIFT = "income=0.5"
STOP_TIMEOUT = 10.0  # seconds in which a process must end after SIGTERM


def environment(folder: Path) -> dict[str, str]:
    """Return the environment variables of the demo: a ledger in `folder`, no keys, no alerts."""
    unset = ("CREDIT_PD_API_KEYS", "ALERT_WEBHOOK", "ALERT_SMTP", "RETRAIN_REPOSITORY")
    ledger = {"DATABASE_URL": f"sqlite:///{folder / 'decisions.sqlite'}"}
    return os.environ | dict.fromkeys(unset, "") | ledger


def instructions(port: int) -> str:
    """Return the text that tells which pages to open while the demo runs."""
    drift = datetime.now().astimezone() + timedelta(seconds=PHASE)
    return f"""
  http://127.0.0.1:{port}        decide about an application
  http://127.0.0.1:{port}/docs   the API
  http://127.0.0.1:{settings.load().dashboard_port}        the dashboard

Until about {drift:%H:%M:%S} the applications look like the training data;
then every income is halved for {PHASE} seconds.
This demo records its decisions in {FOLDER}. Ctrl-C ends the demo.
"""


def traffic_command(port: int, *options: str) -> list[str]:
    """Return the command that sends PHASE seconds of traffic."""
    url = f"http://127.0.0.1:{port}"
    rate = ("--rate", str(RATE), "--seconds", str(PHASE))
    return [sys.executable, "-m", "service.traffic", "--url", url, *rate, *options]


def run(port: int) -> None:
    """Run the demo until the service ends or the user interrupts it.

    Raises CannotServe when the service ends before it is ready.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    variables = environment(FOLDER)
    dashboard_command = [sys.executable, "-m", "service.dashboard"]
    service = subprocess.Popen(serve.command(port), cwd=serve.ROOT, env=variables)
    dashboard = subprocess.Popen(dashboard_command, cwd=serve.ROOT, env=variables)
    try:
        while not is_ready(port):
            if service.poll() is not None:
                raise CannotServe("the service ended before it was ready; its messages are above")
            time.sleep(1)
        print(instructions(port), flush=True)
        phases = {"No drift": (), "The drift begins": ("--drift", DRIFT, "--outcomes")}
        for phase, options in phases.items():
            print(f"{datetime.now():%H:%M:%S} {phase}", flush=True)
            subprocess.run(
                traffic_command(port, *options), cwd=serve.ROOT, env=variables, check=False
            )
        print("The traffic has ended; see the tab Drift of the dashboard. Ctrl-C ends the demo.")
        service.wait()
    finally:
        for process in (service, dashboard):
            process.terminate()
        for process in (service, dashboard):
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
