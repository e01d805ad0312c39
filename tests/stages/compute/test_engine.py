"""`compute`: parts are computed here or on the workers of a cluster, with the same result."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages import errors
from stages.compute import engine as compute
from stages.compute.engine import ADDRESS, SCRATCH, NoCluster
from stages.compute.scratch import CHUNK, Scratch
from tests.support import dask_cluster
from tests.support.dask_cluster import Cluster

LINE = [*range(12)]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with dask_cluster.running(folder, workers=2) as cluster:
        monkeypatch.setenv(ADDRESS, cluster.address)
        yield cluster


def die_once(folder: Path, number: int) -> int:
    """Square a number; the first worker that is asked for 5 is killed meanwhile."""
    marker = folder / "died"
    if number == 5 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def wait_and_square(folder: Path, number: int) -> int:
    (folder / f"begun.{number}").touch()
    time.sleep(0.1)
    return number**2


def refuse_odd(number: int) -> int:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


def results(folder: Path, function: Callable[[int], int]) -> list[int]:
    with compute.start("dask", 2, folder) as engine:
        return engine.run(function, LINE)


def test_results_come_in_the_order_of_the_parts(cluster: Cluster, tmp_path: Path) -> None:
    assert results(tmp_path, partial(wait_and_square, tmp_path)) == [n**2 for n in LINE]


def test_a_worker_that_is_killed_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    assert results(tmp_path, partial(die_once, tmp_path)) == [n**2 for n in LINE]
    assert (tmp_path / "died").exists()


def test_a_scheduler_that_is_restarted_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    def restart() -> None:
        dask_cluster.wait_for(tmp_path / "begun.3")
        for process in cluster.processes:
            process.kill()
            process.wait()
        cluster.start("scheduler", "--port", port, "--no-dashboard")
        cluster.start_worker()

    port = cluster.address.rpartition(":")[2]
    other = threading.Thread(target=restart)
    other.start()
    try:
        assert results(tmp_path, partial(wait_and_square, tmp_path)) == [n**2 for n in LINE]
    finally:
        other.join()


@pytest.mark.parametrize("name", ["local", "dask"])
def test_the_error_of_the_first_part_that_fails_is_raised(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if name == "dask":
        request.getfixturevalue("cluster")
    with (
        compute.start("dask" if name == "dask" else "local", 1, tmp_path) as engine,
        pytest.raises(ValueError, match="1 is odd"),
    ):
        engine.run(refuse_odd, LINE)


def test_a_scheduler_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, "tcp://127.0.0.1:9")
    monkeypatch.setattr(compute, "WAIT", 0.3)
    with (
        pytest.raises(NoCluster, match=r"DASK_SCHEDULER_ADDRESS: .* tcp://127.0.0.1:9"),
        compute.start("dask", 1, tmp_path),
    ):
        pass


def test_a_stage_without_its_cluster_ends_with_one_message() -> None:
    with pytest.raises(SystemExit, match="error: no scheduler"), errors.one_message():
        raise NoCluster("no scheduler")


def test_a_table_is_read_by_columns_and_by_chunks(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    numbers = np.arange(CHUNK + 3)
    scratch.write("a/b", pa.table({"n": numbers, "m": -numbers}))
    assert scratch.read("a/b", ["m"]).column_names == ["m"]
    assert scratch.read_chunk("a/b", 1).column("n").to_pylist() == [CHUNK, CHUNK + 1, CHUNK + 2]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("given", ["", "elsewhere"])
def test_the_scratch_tables_are_removed_at_the_end(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SCRATCH, str(tmp_path / given) if given else "")
    with compute.start("local", 1, tmp_path) as engine:
        engine.scratch.write("a", pa.table({"n": [1]}))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
