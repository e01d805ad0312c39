"""The handle that tests get for a running S3 server: environment, buckets, stop, kill, start."""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import botocore.session

from .processes import answers, free_port, missing, spawn, stop, wait_until


@dataclass
class S3:
    """One S3-compatible server on the loopback interface; its data in `root` survive a restart."""

    root: Path
    port: int = field(default_factory=free_port)
    key: str = "test:tester"
    secret: str = "testing"
    process: subprocess.Popen[bytes] | None = None
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def endpoint(self) -> str:
        """URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead boto3, s3fs and DVC to this server instead of to AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start the server and wait for it; skips the test when Swift is not installed."""
        if importlib.util.find_spec("swift") is None:
            missing("the Python package swift")
        module = [sys.executable, "-m", "tests.e2e.s3_server"]
        where = ["--root", str(self.root), "--port", str(self.port)]
        who = ["--key", self.key, "--secret", self.secret]
        log = self.root / "launcher.log"
        log.write_text("")
        self.process = spawn([*module, *where, *who], log)
        wait_until(self.answers, 60, "the start of the S3 server")

    def answers(self) -> bool:
        """Whether the server accepts connections; `AssertionError` when it ended instead."""
        log = (self.root / "launcher.log").read_text()
        assert self.process is not None
        assert self.process.poll() is None, log
        return "ready" in log and answers(self.port)

    def stop(self) -> None:
        """End the server politely."""
        if self.process:
            stop(self.process)

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        if self.process:
            self.process.kill()
            self.process.wait()
            wait_until(lambda: not answers(self.port), 10, "the end of the S3 server")

    def make_bucket(self, name: str = "") -> str:
        """Create a bucket, with a new name unless one is given; returns the name."""
        name = name or f"bucket-{next(self.numbers)}"
        client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=name)
        client.close()
        return name
