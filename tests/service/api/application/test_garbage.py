"""The garbage collector must not stop a worker."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from service.api.application import garbage


@pytest.fixture
def collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("collector")
def test_a_full_collection_leaves_out_what_is_loaded() -> None:
    async def start() -> None:
        garbage.spare_loaded_objects()

    loaded = [[number] for number in range(1000)]
    asyncio.run(start())

    assert gc.get_freeze_count() > len(loaded)
    assert not any(each is loaded for each in gc.get_objects())


@pytest.mark.usefixtures("collector")
def test_what_is_loaded_at_the_first_use_is_left_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "SETTLED", 0.01)

    async def start() -> list[list[int]]:
        garbage.spare_loaded_objects()
        later = [[number] for number in range(1000)]
        while any(each is later for each in gc.get_objects()):
            await asyncio.sleep(0.01)
        return later

    later = asyncio.run(asyncio.wait_for(start(), 60))

    assert len(later) == 1000


@pytest.mark.usefixtures("collector")
def test_garbage_of_requests_is_still_collected() -> None:
    async def start() -> None:
        garbage.spare_loaded_objects()

    asyncio.run(start())
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle

    assert gc.collect() >= 1
