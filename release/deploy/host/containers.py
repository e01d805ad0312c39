"""The two containers of a host, through the engine's command line (docker or podman)."""

from __future__ import annotations

import os
import shlex
import subprocess
from hashlib import sha256

from release.deploy.host import DeploymentRefused
from release.deploy.host.settings import HostSettings, pairs

SERVICE_USER = 1034  # BentoML's user, which alone can read the model folder
SERVICE_PORT = 3000
STOP_SECONDS = 15
MIGRATION_SECONDS = 600
KEYS = "CREDIT_PD_API_KEYS"


class Containers:
    """Pulls, starts and stops the blue and the green container, which accept the host's `key`."""

    def __init__(self, settings: HostSettings, key: str) -> None:
        self.settings = settings
        self.key = key
        self.engine = shlex.split(settings.engine)

    def fetch(self, image: str) -> None:
        """Pull `image` unless the host has it, so that a roll-back needs no registry."""
        if self._run("image", "inspect", image, check=False).returncode:
            self._run("pull", "--quiet", image, timeout=self.settings.pull_seconds)

    def start(self, colour: str, image: str) -> None:
        """Start `image` as `colour`: read-only but for one folder, unprivileged, with limits."""
        settings = self.settings
        settings.ledger.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(settings.ledger, SERVICE_USER, SERVICE_USER)
        self._run(
            *("run", "--detach", "--name", self._name(colour), "--restart", "unless-stopped"),
            *("--read-only", "--user", f"{SERVICE_USER}:{SERVICE_USER}", "--cap-drop", "ALL"),
            *("--security-opt", "no-new-privileges", "--pids-limit", str(settings.pids)),
            *("--memory", settings.memory, "--memory-swap", settings.memory),
            *("--tmpfs", "/tmp:size=64m,mode=1777"),  # noqa: S108 - the container's own
            *("--volume", f"{settings.ledger}:/ledger"),
            *("--env-file", str(settings.service_env), "--env", "BENTOML_HOME=/tmp/bentoml"),
            *("--env", f"CREDIT_PD_IMAGE={image}"),
            *self._keys(),
            *("--publish", f"{settings.address(colour)}:{SERVICE_PORT}", image),
        )

    def migrate(self, colour: str) -> None:
        """Upgrade the ledger's schema by the code of the container; the old image can go on.

        Raises DeploymentRefused with the reason when that fails: the schema is then as it was.
        """
        command = ("python", "-m", "service.ledger", "migrate")
        self._run("exec", self._name(colour), *command, timeout=MIGRATION_SECONDS)

    def fault(self, colour: str) -> str:
        """Return why the container has ended, with the end of its log; "" while it runs."""
        template = "{{.State.Running}} {{.RestartCount}}"
        state = self._run("inspect", "--format", template, self._name(colour)).stdout.split()
        return "" if state == ["true", "0"] else f"it ended by itself{self.end_of_log(colour)}"

    def end_of_log(self, colour: str) -> str:
        """Return the last lines of the container's log, indented."""
        log = self._run("logs", "--tail", "15", self._name(colour), check=False)
        lines = (log.stdout + log.stderr).splitlines()
        return "".join(f"\n    {line}" for line in lines)

    def remove(self, colour: str) -> None:
        """Stop the container with SIGTERM and remove it, if there is one."""
        self._run("stop", "--time", str(STOP_SECONDS), self._name(colour), check=False)
        self._run("rm", "--force", self._name(colour), check=False)

    def remove_images(self, keep: set[str]) -> None:
        """Remove the repository's images that are not in `keep`, so that the disk does not fill."""
        command = ("images", "--digests", "--format", "{{.Repository}}@{{.Digest}}")
        present = self._run(*command, self.settings.repository, check=False).stdout.split()
        for image in set(present) - keep:
            self._run("rmi", image, check=False)

    def _keys(self) -> tuple[str, ...]:
        """Return the option that adds the host's key to those of the service, if it has any."""
        digests = pairs(self.settings.service_env).get(KEYS)
        digest = sha256(self.key.encode()).hexdigest()
        return ("--env", f"{KEYS}={digests},{digest}") if digests else ()

    def _name(self, colour: str) -> str:
        return f"{self.settings.name}-{colour}"

    def _run(
        self, *arguments: str, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        command = [*self.engine, *arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout, check=False
            )
        except OSError as error:
            raise DeploymentRefused(f"the container engine cannot be run: {error}") from None
        except subprocess.TimeoutExpired:
            raise DeploymentRefused(f"'{arguments[0]}' took longer than {timeout:.0f} s") from None
        if check and done.returncode:
            raise DeploymentRefused(f"'{arguments[0]}' failed: {done.stderr.strip()}")
        return done
