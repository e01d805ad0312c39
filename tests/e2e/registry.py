"""An OCI registry on the loopback interface, for pushing and pulling by digest."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .processes import answers, free_port, spawn, stop, tool, wait_until

SETTINGS = """
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
http: {{addr: "{address}"}}
"""


@dataclass
class Registry:
    """Debian's docker-registry over the folder `storage`, which two of them may share."""

    storage: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`127.0.0.1:port`, the first part of an image's name."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the registry and wait for it; skips the test when it is not installed."""
        program = tool("docker-registry")
        settings = self.storage.with_name(f"registry-{self.port}.yml")
        settings.write_text(SETTINGS.format(root=self.storage, address=self.address))
        self.process = spawn([program, "serve", str(settings)], settings.with_suffix(".log"))
        wait_until(lambda: answers(self.port), 30, "the start of the registry")

    def stop(self) -> None:
        """End the registry; nothing answers at its address any more."""
        if self.process:
            stop(self.process)
