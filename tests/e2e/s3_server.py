"""One-machine OpenStack Swift with its S3 API: a real S3-compatible server without root.

    python -m tests.e2e.s3_server --root DIR --port 9180 --key test:tester --secret testing

It checks signatures, knows multipart and versioning, and keeps its data in DIR over a restart.
It prints `ready` once S3 answers, and ends with its four servers on SIGTERM or with its parent.
Clients address buckets by path.
"""

from __future__ import annotations

import argparse
import ctypes
import getpass
import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import NoReturn

from .processes import free_port, wait_until

STORES = ("object", "container", "account")
FILTERS = {
    "catch_errors": "",
    "gatekeeper": "",
    "listing_formats": "",
    "bulk": "",
    "s3api": "location = us-east-1\n",
    "tempauth": "user_{user} = {secret} .admin\n",
    "copy": "",
    "slo": "",
    "dlo": "",
    "versioned_writes": "allow_object_versioning = true\n",
    "symlink": "",
}
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def configure(root: Path, port: int, key: str, secret: str) -> Path:
    """Write the configuration of the four servers; returns its folder."""
    etc = root / "etc"
    for folder in (etc, root / "node/d1", root / "run"):
        folder.mkdir(parents=True, exist_ok=True)
    salt = "[swift-hash]\nswift_hash_path_suffix = test\nswift_hash_path_prefix = test\n"
    (etc / "swift.conf").write_text(salt)
    for name in STORES:
        store_port = free_port()
        (etc / f"{name}-server.conf").write_text(store_settings(root, name, store_port))
        save_ring(etc / f"{name}.ring.gz", store_port)
    (etc / "proxy-server.conf").write_text(proxy_settings(root, port, key, secret))
    return etc


def common_settings(root: Path, port: int) -> str:
    """What every server's file starts with."""
    return (
        f"[DEFAULT]\nswift_dir = {root}/etc\nbind_ip = 127.0.0.1\nbind_port = {port}\n"
        f"workers = 0\nuser = {getpass.getuser()}\nlog_level = WARNING\n"
    )


def store_settings(root: Path, name: str, port: int) -> str:
    """Configuration of one storage server; an ordinary folder is its disk."""
    return (
        f"{common_settings(root, port)}devices = {root}/node\nmount_check = false\n"
        f"disable_fallocate = true\nrecon_cache_path = {root}/run\n"
        f"[pipeline:main]\npipeline = app\n[app:app]\nuse = egg:swift#{name}\n"
        f"[app:{name}-server]\nuse = egg:swift#{name}\n"
    )


def proxy_settings(root: Path, port: int, key: str, secret: str) -> str:
    """Configuration of the server that speaks S3; `key` is `account:user`."""
    user = key.replace(":", "_")
    filters = "".join(
        f"[filter:{name}]\nuse = egg:swift#{name}\n{lines.format(user=user, secret=secret)}"
        for name, lines in FILTERS.items()
    )
    return (
        f"{common_settings(root, port)}[pipeline:main]\n"
        f"pipeline = {' '.join(FILTERS)} proxy-server\n"
        f"[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n{filters}"
    )


def save_ring(path: Path, port: int) -> None:
    """Write the ring (who stores what) of one storage server on one device."""
    from swift.common.ring import RingBuilder  # noqa: PLC0415 - an optional package

    device = {"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1"}
    extra = {"weight": 1, "meta": "", "replication_ip": "127.0.0.1", "replication_port": port}
    builder = RingBuilder(2, 1, 0)
    builder.add_dev({**device, **extra})
    builder.rebalance()
    builder.get_ring().save(str(path))


def die_with_parent(number: signal.Signals) -> None:
    """Ask the kernel for the signal `number` when the process that started us ends."""
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, number)


def serve(etc: Path, name: str, log: int) -> NoReturn:
    """Be one of the four servers, in a child process that dies with its parent."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    die_with_parent(signal.SIGKILL)
    from swift.common.wsgi import run_wsgi  # noqa: PLC0415 - after the fork, it patches sockets
    from swift.obj.server import global_conf_callback  # noqa: PLC0415

    extra = {"global_conf_callback": global_conf_callback} if name == "object" else {}
    os._exit(run_wsgi(f"{etc}/{name}-server.conf", f"{name}-server", verbose=True, **extra) or 0)


def start(etc: Path, log: int) -> list[int]:
    """Fork the four servers; returns their process ids."""
    import swift.common.middleware.s3api.s3api  # noqa: PLC0415 - once, before the forks
    import swift.common.wsgi  # noqa: PLC0415
    import swift.proxy.server  # noqa: F401, PLC0415

    processes = []
    for name in (*STORES, "proxy"):
        process = os.fork()
        if process == 0:
            serve(etc, name, log)
        processes.append(process)
    return processes


def speaks_s3(port: int) -> bool:
    """Whether the server answers, which without a signature means an HTTP error."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def main() -> None:
    """Serve until SIGTERM or SIGINT, or until one of the four servers ends."""
    parser = argparse.ArgumentParser(prog="tests.e2e.s3_server", description="S3 for tests.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, default=9180)
    parser.add_argument("--key", default="test:tester", help="account:user")
    parser.add_argument("--secret", default="testing")
    given = parser.parse_args()
    root = given.root.absolute()
    etc = configure(root, given.port, given.key, given.secret)
    log = os.open(root / "swift.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    processes = start(etc, log)

    def stop(*_: object) -> NoReturn:
        for process in processes:
            os.kill(process, signal.SIGTERM)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    die_with_parent(signal.SIGTERM)
    wait_until(lambda: speaks_s3(given.port), 60, f"an answer (see {root}/swift.log)")
    print(f"ready http://127.0.0.1:{given.port}", flush=True)
    os.wait()
    stop()


if __name__ == "__main__":
    main()
