"""Keep signed checkpoints in a bucket with object lock, where nobody can replace or delete them.

    python -m release.checkpoints FOLDER s3://BUCKET/PREFIX --days 3650

FOLDER is where `python -m service.transparency publish --folder` writes. It runs beside the log on
a timer, with an account of AWS of its own; the service has no part in it. Exit codes: 0 everything
is kept, 1 the bucket holds another checkpoint of the same size, 2 it is not possible.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from stages import project


class Conflict(Exception):
    """The bucket holds another checkpoint of the same size: one of the two histories is forged."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser("python -m release.checkpoints", description=__doc__)
    parser.add_argument("folder", type=project.resolve, help="the folder of signed checkpoints")
    parser.add_argument("target", metavar="s3://BUCKET/PREFIX")
    parser.add_argument("--days", type=int, required=True, help="how long nobody can delete them")
    options = parser.parse_args(arguments)
    try:
        bucket, prefix = _parse(options.target)
        if options.days < 1:
            raise ValueError(f"--days must be at least 1; got {options.days}")
        client = botocore.session.get_session().create_client("s3")
        kept = keep(client, options.folder, bucket, prefix, options.days)
    except Conflict as error:
        print(f"CONFLICT: {error}", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError, OSError, ValueError) as error:
        print(f"checkpoints: {error}", file=sys.stderr)
        return 2
    print(f"{len(kept)} new checkpoints are locked in {options.target} for {options.days} days")
    return 0


def _parse(target: str) -> tuple[str, str]:
    bucket, _, prefix = target.removeprefix("s3://").partition("/")
    if not target.startswith("s3://") or not bucket:
        raise ValueError(f"the target must be s3://BUCKET/PREFIX; got {target}")
    return bucket, f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""


def keep(client: Any, folder: Path, bucket: str, prefix: str, days: int) -> list[str]:
    """Lock every checkpoint of the folder that the bucket lacks; returns the keys of the new ones.

    Raises ValueError where the bucket does not lock objects, and Conflict.
    """
    _require_lock(client, bucket)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    kept = []
    for file in sorted(folder.glob("*.checkpoint"), key=lambda path: int(path.stem)):
        key, note = f"{prefix}{int(file.stem):012}.checkpoint", file.read_bytes()
        present = _read_versions(client, bucket, key)
        if any(_signed_text(each) != _signed_text(note) for each in present):
            raise Conflict(f"s3://{bucket}/{key} and {file} are signed for different entries")
        if not present:
            client.put_object(
                Bucket=bucket,
                Key=key,
                Body=note,
                ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(days),
                ChecksumAlgorithm="SHA256",
            )
            kept.append(key)
    return kept


def _require_lock(client: Any, bucket: str) -> None:
    try:
        answer = client.get_object_lock_configuration(Bucket=bucket)
        if answer["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled":
            return
    except (KeyError, ClientError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        if code not in ("", "ObjectLockConfigurationNotFoundError", "NotImplemented", "501"):
            raise
    raise ValueError(f"the bucket {bucket} does not lock objects: create one with object lock")


def _read_versions(client: Any, bucket: str, key: str) -> list[bytes]:
    """Return every version of an object: a newer one hides an older one and does not remove it."""
    versions = client.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", [])
    return [
        client.get_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])["Body"].read()
        for version in versions
        if version["Key"] == key
    ]


def _signed_text(note: bytes) -> bytes:
    """Return what was signed, without the signatures, whose number may grow."""
    return note.rpartition(b"\n\n")[0]


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
