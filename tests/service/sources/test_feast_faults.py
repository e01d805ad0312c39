"""What a feature server may do wrong to the client; `test_feast` starts a real one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from service.sources import feast
from service.sources.feast import FeastReader
from service.sources.fetched import SourceAway, SourceError
from stages.contract import reading as contracts
from tests.support.books import HISTORY

SOURCE = "    source: {kind: feast, table: payments, max_age: 2 days}\n"
CONTRACT = contracts.read(HISTORY.replace("    date: paid_on\n", f"    date: paid_on\n{SOURCE}"))
NOW = datetime.now(UTC).isoformat()
WANTED = {"payments": [("1",)]}
LINE = {"paid_on": "2020-01-02", "late": 3, "status": "open"}
Answer = Callable[[httpx.Request], httpx.Response]


def reader(answer: Answer, deadline: float = 0.5) -> FeastReader:
    made = FeastReader("http://feast", deadline, CONTRACT.history)
    made.close()
    made._client = httpx.Client(base_url="http://feast", transport=httpx.MockTransport(answer))
    return made


def result(values: list[Any], statuses: list[str], times: list[str]) -> Answer:
    parts = {"values": values, "statuses": statuses, "event_timestamps": times}
    body = {"metadata": {"feature_names": ["lines"]}, "results": [parts]}
    return lambda _: httpx.Response(200, json=body)


def test_the_lines_of_a_record_are_read_by_date() -> None:
    lines = [LINE | {"paid_on": "2020-02-01"}, LINE | {"late": None}]
    fetched = reader(result([json.dumps(lines)], ["PRESENT"], [NOW])).read(WANTED)["payments"]
    first = {"paid_on": "2020-01-02", "status": "open"}
    assert fetched.lines == {("1",): [first, LINE | {"paid_on": "2020-02-01"}]}
    assert fetched.as_of == {("1",): datetime.fromisoformat(NOW)}


def test_the_request_is_that_of_feast() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, json.loads(request.content)))
        return result([None], ["NOT_FOUND"], [NOW])(request)

    assert reader(answer).read(WANTED)["payments"].lines == {}
    body = {"features": ["payments:lines"], "entities": {"person": ["1"]}}
    assert asked == [("POST", "/get-online-features", body)]


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(200, content=b"<html>"),
        lambda _: httpx.Response(200, json={"results": []}),
        result(["[]", "[]"], ["PRESENT"], [NOW]),
        result(["{}"], ["PRESENT"], [NOW]),
        result(["[1]"], ["PRESENT"], [NOW]),
        result([7], ["PRESENT"], [NOW]),
        result(["[]"], ["PRESENT"], ["soon"]),
        result(["[]"], ["PRESENT"], ["2026-01-01T00:00:00"]),
    ],
)
def test_an_answer_that_is_not_feasts_is_refused(answer: Answer) -> None:
    with pytest.raises(SourceError) as refused:
        reader(answer).read(WANTED)
    assert refused.value.code == "source_invalid"


@pytest.mark.parametrize(
    "answer",
    [
        result(["[]"], ["PRESENT"], ["2020-01-01T00:00:00Z"]),
        result([None], ["OUTSIDE_MAX_AGE"], [NOW]),
    ],
)
def test_an_old_record_is_stale(answer: Answer) -> None:
    with pytest.raises(SourceError) as refused:
        reader(answer).read(WANTED)
    assert refused.value.code == "source_stale"


def test_an_error_and_a_silent_server_are_away() -> None:
    def silent(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer from http://feast:6566")

    for answer in (lambda _: httpx.Response(500, content=b"secret"), silent):
        with pytest.raises(SourceAway) as refused:
            reader(answer).read(WANTED)
        assert "secret" not in str(refused.value)
        assert "6566" not in str(refused.value)


def test_a_server_that_sends_byte_by_byte_is_away_at_the_deadline() -> None:
    def drops() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.02)
            yield b" "

    start = time.monotonic()
    with pytest.raises(SourceAway):
        reader(lambda _: httpx.Response(200, content=drops()), deadline=0.1).read(WANTED)
    assert time.monotonic() - start < 1


def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feast, "LARGEST", 1000)
    with pytest.raises(SourceAway):
        reader(lambda _: httpx.Response(200, content=b" " * 2000)).read(WANTED)
