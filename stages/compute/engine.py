"""Call a function for each part of the rows: in turn here, or on the workers of a Dask cluster.

`compute: dask` uses the cluster whose scheduler `DASK_SCHEDULER_ADDRESS` names, else one of
processes on this machine. What a step leaves for the next is kept in `DASK_SCRATCH`, a folder that
every worker reaches, else in a folder of the dataset.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from stages.compute.scratch import Scratch

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")
ADDRESS, SCRATCH = "DASK_SCHEDULER_ADDRESS", "DASK_SCRATCH"
WAIT = 120  # seconds for a scheduler to come back


class MapFunction(Protocol):
    """Calls a function for each item, and returns the results in the order of the items."""

    def __call__(
        self, function: Callable[[Item], Result], items: Iterable[Item], /
    ) -> list[Result]:
        """Return the results."""
        ...


def run_here(function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
    """Call the function in this process, for one item after the other."""
    return [function(item) for item in items]


class NoCluster(RuntimeError):
    """The cluster cannot be reached; the message names the variable that says where it is."""


class DaskRun:
    """Calls functions on the workers of a cluster; calls that a lost worker had are repeated."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        self.connect = connect
        self.client = connect()

    def __call__(
        self, function: Callable[[Item], Result], items: Iterable[Item], /
    ) -> list[Result]:
        """Return the results; the error of the first item that failed is raised."""
        from distributed.comm import CommClosedError  # noqa: PLC0415  (no need of it with `local`)

        results: list[Result] = []
        every = [*items]
        while True:
            try:
                waiting = self.client.map(function, every[len(results) :], pure=False)
                for future in waiting:
                    results.append(future.result())
            except (CancelledError, CommClosedError):
                print("the scheduler was lost; what is not done is done again", file=sys.stderr)
                self.client.close()
                self.client = self.connect()
            else:
                return results


@dataclass(frozen=True)
class ComputeEngine:
    """The way in which the functions of parts are called, and where their tables are kept."""

    run: MapFunction
    scratch: Scratch

    def hand_over(self, name: str, content: Item) -> Callable[[], Item]:
        """Return a function that returns the content wherever it is called."""
        if self.run is run_here:
            return lambda: content
        self.scratch.keep(name, content)
        return partial(self.scratch.load, name)


@contextmanager
def start(name: Literal["local", "dask"], processes: int, folder: Path) -> Iterator[ComputeEngine]:
    """Yield the engine of this name; its scratch tables, by default in `folder`, are removed.

    Raises NoCluster where `DASK_SCHEDULER_ADDRESS` names a scheduler that does not answer.
    """
    base = os.environ.get(SCRATCH, "") if name == "dask" else ""
    unique = f".scratch.{uuid.uuid4().hex}"
    place = f"{base.rstrip('/')}/{unique}" if base else str(folder.resolve() / unique)
    scratch = Scratch(place)
    try:
        if name == "local":
            yield ComputeEngine(run_here, scratch)
        else:
            with open_engine(processes) as run:
                yield ComputeEngine(run, scratch)
    finally:
        scratch.clear()


@contextmanager
def open_engine(processes: int) -> Iterator[MapFunction]:
    """Yield the function that calls others on the cluster, or in processes of this machine."""
    from distributed import Client, LocalCluster  # noqa: PLC0415  (no need of it with `local`)

    address = os.environ.get(ADDRESS)
    if address:

        def connect() -> Client:
            try:
                return Client(address, timeout=WAIT, set_as_default=False)
            except OSError as error:
                raise NoCluster(
                    f"{ADDRESS}: no scheduler answers at {address} within {WAIT} s: start it, or "
                    "unset the variable for processes of this machine"
                ) from error

        run = DaskRun(connect)
        try:
            yield run
        finally:
            run.client.close()
    else:
        with (
            LocalCluster(
                n_workers=processes, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield DaskRun(lambda: client)
