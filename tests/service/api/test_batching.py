"""Calls of one turn of the event loop are worked off together, each with its own result."""

from __future__ import annotations

import asyncio

import pytest

from service.api.batching import MOST, Batcher


class Broken(Exception):
    pass


class Work:
    """Doubles numbers, and remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    async def __call__(self, items: list[int]) -> list[int]:
        self.calls.append(items)
        await asyncio.sleep(0)
        if 13 in items:
            raise Broken
        return [2 * item for item in items]


def test_requests_of_one_turn_are_one_call_and_each_gets_its_result() -> None:
    work = Work()

    async def ask() -> list[int]:
        batcher = Batcher(work)
        return await asyncio.gather(*(batcher(item) for item in range(5)))

    assert asyncio.run(ask()) == [0, 2, 4, 6, 8]
    assert work.calls == [[0, 1, 2, 3, 4]]


def test_many_requests_of_one_turn_are_several_calls_between_which_others_have_their_turn() -> None:
    work = Work()

    async def ask() -> list[int]:
        batcher = Batcher(work)
        waiting = [asyncio.create_task(batcher(100 + item)) for item in range(2 * MOST + 1)]
        while len(work.calls) < 2:
            await asyncio.sleep(0)
        assert not waiting[-1].done()
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == [2 * (100 + item) for item in range(2 * MOST + 1)]
    assert [len(items) for items in work.calls] == [MOST, MOST, 1]


def test_a_single_request_does_not_wait() -> None:
    work = Work()

    async def ask() -> list[int]:
        batcher = Batcher(work)
        return [await batcher(1), await batcher(2)]

    assert asyncio.run(ask()) == [2, 4]
    assert work.calls == [[1], [2]]


def test_a_client_that_disconnects_does_not_affect_the_others() -> None:
    async def ask() -> int:
        batcher = Batcher(Work())
        gone, stays = asyncio.create_task(batcher(1)), asyncio.create_task(batcher(2))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(ask()) == 4


def test_an_error_reaches_all_requests_of_its_turn_and_no_others() -> None:
    async def ask() -> int:
        batcher = Batcher(Work())
        results = await asyncio.gather(batcher(1), batcher(13), return_exceptions=True)
        assert [type(each) for each in results] == [Broken, Broken]
        return await batcher(3)

    assert asyncio.run(ask()) == 6


@pytest.mark.parametrize("count", [1, 50])
def test_every_request_of_many_turns_is_answered(count: int) -> None:
    async def one(batcher: Batcher[int, int], start: int) -> list[int]:
        return [await batcher(start + step) for step in range(20)]

    async def ask() -> list[list[int]]:
        batcher = Batcher(Work())
        return await asyncio.gather(*(one(batcher, 100 * (1 + place)) for place in range(count)))

    expected = [[2 * (100 * (1 + place) + step) for step in range(20)] for place in range(count)]
    assert asyncio.run(ask()) == expected
