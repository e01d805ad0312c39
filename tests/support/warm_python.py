"""A `python` for real commands in tests that does not import the same libraries each time.

Most of the time of a stage, and of DVC on a small book, goes into importing NumPy, pandas, DVC and
the like. A server imports them once, and each `python -m stages.train` or `python -m dvc` becomes a
fork of it: a process of its own with its own folder, environment, arguments and streams, which
imports the project's modules anew. Other commands run a new interpreter.
"""

from __future__ import annotations

import array
import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import NamedTuple

LIBRARIES = (
    "numpy", "scipy.special", "scipy.stats", "pandas", "pyarrow.parquet", "pydantic", "joblib",
    "ruamel.yaml", "sklearn.linear_model", "sklearn.isotonic", "lightgbm", "xgboost", "altair",
    "dvc.cli", "dvc.repo", "dvc.commands.repro", "dvc.commands.experiments.run", "dvc_s3", "s3fs",
)  # fmt: skip
FORKED = ("stages.", "dvc", "release.remote")  # beginnings of modules that are run in a fork
CLIENT = """#!{python} -IS
import array, json, os, socket, sys
words = sys.argv[1:]
if words[:1] != ["-m"] or not words[1].startswith({forked!r}):
    os.execv({python!r}, [{python!r}, *words])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([words[1:], os.getcwd(), dict(os.environ)]).encode()
streams = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
server.sendmsg([len(asked).to_bytes(4, "big")], [streams])
server.sendall(asked)
os._exit((server.recv(1) or b"\\1")[0])
"""
READY = "ready\n"
# A library of git reads who commits where it is imported, and not for each command.
GITCONFIG = "[user]\n\tname = Someone\n\temail = someone@example.com\n"


class Command(NamedTuple):
    """What a client asks for."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]


@functools.cache
def bin_folder() -> Path:
    """Return a folder with such a `python`, whose server ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="warm-python-"))
    (folder / ".gitconfig").write_text(GITCONFIG)
    address = str(folder / "socket")
    client = CLIENT.format(python=sys.executable, forked=FORKED, address=address)
    (folder / "python").write_text(client)
    (folder / "python").chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, address],
        cwd=folder,
        env=os.environ | {"HOME": str(folder), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_stop_server, folder, server)
    assert server.stdout is not None
    assert server.stdout.readline() == READY, "the server of warm interpreters did not start"
    return folder


def _stop_server(folder: Path, server: subprocess.Popen[str]) -> None:
    """End the server, and remove its folder."""
    server.communicate()  # closes its stdin, which ends it
    shutil.rmtree(folder, ignore_errors=True)


def serve(address: str) -> None:
    """Fork a process for each client of a Unix socket, until stdin is closed."""
    listener, selector = socket.socket(socket.AF_UNIX), selectors.DefaultSelector()
    listener.bind(address)
    listener.listen(64)
    print(READY, end="", flush=True)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is listener:
                process, client = start(listener)
                selector.register(process.sentinel, selectors.EVENT_READ, (process, client))
            else:
                selector.unregister(key.fileobj)
                process, client = key.data
                process.join()
                client.sendall(bytes([process.exitcode % 256]))
                client.close()


def start(listener: socket.socket) -> tuple[ForkProcess, socket.socket]:
    """Start the process that the next client asks for."""
    client, _ = listener.accept()
    head, ancillary, _, _ = client.recvmsg(4, socket.CMSG_SPACE(12))
    size, asked = int.from_bytes(head, "big"), b""
    while len(asked) < size:
        asked += client.recv(size - len(asked))
    streams = list(array.array("i", ancillary[0][2]))
    process = ForkProcess(target=run, args=(Command(*json.loads(asked)), streams))
    process.start()
    for stream in streams:
        os.close(stream)
    return process, client


def run(command: Command, streams: list[int]) -> None:
    """Be a command, with streams that are open here."""
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    os.chdir(command.folder)
    os.environ.clear()
    os.environ.update(command.environment)
    sys.argv[:] = command.arguments
    added = command.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [command.folder, *filter(None, added)]
    runpy.run_module(command.arguments[0], run_name="__main__", alter_sys=True)


def main() -> None:
    """Import the libraries, and serve what imports them."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # a collection in a fork would copy every page
    serve(sys.argv[1])


if __name__ == "__main__":
    main()
