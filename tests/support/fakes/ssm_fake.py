"""SSM Run Command and the agents of its hosts, as far as a deployment uses them.

A real HTTP server that botocore talks to. Unlike moto it knows its documents and hosts: it refuses
unknown documents, unknown or missing parameters, parameters that the document's pattern does not
admit, and targets that the deployment role may not reach; and it runs the document's script with
/bin/sh on every host in turn, which is the real release/deploy/host with a stand-in for containers
and proxy. Its limits: paths of the host lie in a folder of the test; signatures are looked at and
not checked; Java's regular expressions are taken for Python's; `Delayed`, pages and rate limits do
not occur; a command that is over never vanishes.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support import templates

ROOT = Path(__file__).parents[3]
REPOSITORY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/credit-pd"
MAY_REACH = {"Key": "tag:credit-pd", "Values": ["serving"]}  # the deployment role's condition
STAND_IN = '''"""Containers and proxy that obey, or refuse in the words of `fault`."""
from release.deploy.host import DeploymentRefused
from release.deploy.host.files import DeploymentState, Release, now


class Host:
    def __init__(self, settings):
        self.settings, self.state = settings, DeploymentState(settings.state)

    def deploy(self, image, expected, older):
        fault = self.settings.state / "fault"
        if fault.exists():
            raise DeploymentRefused(fault.read_text())
        (self.settings.state / "older").write_text(str(older))
        release = Release("blue", image, {"image": image, **expected}, now())
        self.state.promote(release)
        return release

    def tidy(self, release):
        pass

    def migrate(self, release):
        pass

    def served_image(self):
        other = self.settings.state / "serves"
        live = self.state.releases()["live"]
        return other.read_text() if other.exists() else live.image if live else "nothing"

    def status(self):
        known = self.state.releases().items()
        told = {role: release and vars(release) for role, release in known}
        return {**told, "served": self.served_image()}
'''


class Refusal(Exception):
    """An error of the API: its name and its message."""


@dataclass
class Host:
    """One host in a folder."""

    name: str
    root: Path
    tags: dict[str, str] = field(default_factory=lambda: {"credit-pd": "serving"})
    reachable: bool = True

    @classmethod
    def install(cls, name: str, root: Path) -> Host:
        """Prepare a folder as release/deploy/host/install.sh prepares a host, with the stand-in."""
        script = ["sh", str(ROOT / "release/deploy/host/install.sh"), REPOSITORY, str(root)]
        subprocess.run(script, check=True)
        (root / "opt/credit-pd/release/deploy/host/bluegreen.py").write_text(STAND_IN)
        return cls(name, root).move_files("")

    def move_files(self, before: str) -> Host:
        """Rewrite the paths below `before` in the files as paths below `root`."""
        for file in ("opt/credit-pd/release/deploy/host/deploy.py", "etc/credit-pd/host.env"):
            text = (self.root / file).read_text()
            text = re.sub(rf"(?<![\w]){before}/(etc|var)/", rf"{self.root}/\1/", text)
            (self.root / file).write_text(text)
        return self

    def copy(self, name: str, root: Path) -> Host:
        """Return another host in the same state."""
        shutil.copytree(self.root, root)
        return Host(name, root).move_files(str(self.root))

    @property
    def state(self) -> Path:
        return self.root / "var/lib/credit-pd/state"

    def run(self, script: str, seconds: float) -> tuple[str, str, str]:
        """Run a script and return its status, standard output and standard error."""
        if not self.reachable:
            return "DeliveryTimedOut", "", ""
        script = script.replace("/opt/credit-pd", f"{self.root}/opt/credit-pd")
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", script],
                env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "ExecutionTimedOut", "", ""
        return ("Failed" if done.returncode else "Success"), done.stdout, done.stderr


class SSM:
    """The API, its one document and its hosts; `sent` are the requests that were let through."""

    def __init__(self, hosts: list[Host]) -> None:
        self.hosts = hosts
        self.document = templates.only("AWS::SSM::Document")
        self.commands: dict[str, dict[str, Any]] = {}
        self.invocations: dict[str, dict[str, dict[str, Any]]] = {}
        self.sent: list[dict[str, Any]] = []
        self.seconds: float | None = None  # instead of the document's own limit

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve on loopback, and yield the address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()

    def send_command(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Check the request, then work in the background, host after host."""
        if asked["DocumentName"] != self.document["Name"]:
            raise Refusal("InvalidDocument", f"no document {asked['DocumentName']}")
        if asked["Targets"] != [MAY_REACH]:
            raise Refusal("AccessDeniedException", f"not authorized for {asked['Targets']}")
        if (asked["MaxConcurrency"], asked["MaxErrors"]) != ("1", "0"):
            raise Refusal("InvalidMaxErrors", "this fake knows one host at a time, until one fails")
        script = self.script(asked.get("Parameters", {}))
        self.sent.append(asked)
        command_id = str(uuid.uuid4())
        wanted = [each for each in self.hosts if each.tags.get("credit-pd") == "serving"]
        command = {"CommandId": command_id, "Status": "Pending", "StatusDetails": "Pending"}
        self.commands[command_id] = {**command, "TargetCount": 0, "CompletedCount": 0}
        self.invocations[command_id] = {}
        threading.Thread(target=self.work, args=(command_id, wanted, script), daemon=True).start()
        return {"Command": dict(self.commands[command_id])}

    def script(self, given: dict[str, list[str]]) -> str:
        """Return the script of the document with its parameters in place."""
        content = self.document["Content"]
        known = content["parameters"]
        values = {name: held["default"] for name, held in known.items() if "default" in held}
        values |= {name: words[0] for name, words in given.items()}
        if values.keys() != known.keys():
            raise Refusal("InvalidParameters", f"need {sorted(known)}, got {sorted(values)}")
        for name, value in values.items():
            if not re.search(known[name]["allowedPattern"], value):
                raise Refusal("InvalidParameters", f"{name}: {value!r} is not allowed")
        [step] = content["mainSteps"]
        text = "\n".join(step["inputs"]["runCommand"])
        return re.sub(r"{{ (\w+) }}", lambda match: values[match[1]], text)

    def work(self, command_id: str, hosts: list[Host], script: str) -> None:
        """Run the script on one host after another, until one fails."""
        command = self.commands[command_id]
        [step] = self.document["Content"]["mainSteps"]
        command.update(Status="InProgress", StatusDetails="InProgress", TargetCount=len(hosts))
        details = "Success" if hosts else "NoInstancesInTag"
        for host in hosts:
            limit = self.seconds or float(step["inputs"]["timeoutSeconds"])
            details, output, errors = host.run(script, limit)
            self.invocations[command_id][host.name] = {
                "CommandId": command_id,
                "InstanceId": host.name,
                "Status": "TimedOut" if "TimedOut" in details else details,
                "StatusDetails": details,
                "StandardOutputContent": output[:24000],
                "StandardErrorContent": errors[:8000],
            }
            command["CompletedCount"] += 1
            if details != "Success":
                break
        over = "Success" if details in ("Success", "NoInstancesInTag") else "Failed"
        command.update(Status=over, StatusDetails=details)

    def answer(self, verb: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of the API to one request."""
        if verb == "SendCommand":
            return self.send_command(asked)
        command_id = asked["CommandId"]
        if verb == "ListCommands":
            return {"Commands": [dict(self.commands[command_id])]}
        known = self.invocations[command_id]
        if verb == "ListCommandInvocations":
            return {"CommandInvocations": list(known.values())}
        if verb == "GetCommandInvocation" and asked["InstanceId"] in known:
            return known[asked["InstanceId"]]
        raise Refusal("InvocationDoesNotExist" if command_id in self.commands else "Unknown", verb)


def _handler(ssm: SSM) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            verb = self.headers["X-Amz-Target"].removeprefix("AmazonSSM.")
            try:
                if "/ssm/aws4_request" not in self.headers.get("Authorization", ""):
                    raise Refusal("MissingAuthenticationToken", "the request is not signed")
                status, content = 200, ssm.answer(verb, asked)
            except Refusal as refusal:
                kind, words = refusal.args
                status, content = 400, {"__type": kind, "message": words}
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
