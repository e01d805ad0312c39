"""An OCI registry on the loopback interface, for pushing and pulling by digest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
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
TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
)


@dataclass
class Registry:
    """Debian's docker-registry over the folder `storage`, which two of them may share."""

    storage: Path
    port: int = field(default_factory=free_port)

    @property
    def address(self) -> str:
        """`127.0.0.1:port`, the first part of an image's name."""
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Registry]:
        """Run the registry for a block, dead after it; skips when it is not installed."""
        program = tool("docker-registry")
        settings = self.storage.with_name(f"registry-{self.port}.yml")
        settings.write_text(SETTINGS.format(root=self.storage, address=self.address))
        process = spawn([program, "serve", str(settings)], settings.with_suffix(".log"))
        try:
            wait_until(lambda: answers(self.port), 30, "the start of the registry")
            yield self
        finally:
            stop(process)

    def digest(self, repository: str, tag: str) -> str:
        """Digest, `sha256:...`, of what was pushed; engines may know another one for the same."""
        connection = HTTPConnection(self.address, timeout=10)
        connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": TYPES})
        digest = connection.getresponse().headers["Docker-Content-Digest"]
        connection.close()
        return digest
