"""What has no place is refused on the connection, before anything of it is read."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
import uvicorn.config

from service.api.access.authentication import Access
from service.api.application.asgi import Application
from service.api.handlers.api import Api
from service.api.load import connections, draining
from service.api.load import limits as load
from service.api.load.connections import Connection, is_whole, use_for_uvicorn
from service.api.load.draining import DrainingServer
from service.api.load.limits import AdaptiveLimit
from service.api.requests import Refused, Request, Response
from service.ledger import Ledger
from tests.support.api_client import inner

REQUEST = (
    b"POST /predict HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)
READY = b"GET /health HTTP/1.1\r\nHost: service\r\n\r\n"
Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """A real server, whose answers to `/predict` wait until `go` is set."""

    def __init__(self, folder: Path, most: int) -> None:
        self.go, self.asked = asyncio.Event(), 0
        api = Api(folder, Ledger(f"sqlite:///{folder}/ledger.sqlite"))
        api.routes["/predict"] = {"POST": self.predict}
        self.app = Application(inner, lambda: api.routes, Access(None), 1000, most)
        self.config = uvicorn.Config(self.app, port=0, lifespan="off", log_config=None)
        self.server = DrainingServer(self.config)
        self.wires: list[Wire] = []
        self.port = 0

    async def predict(self, request: Request) -> Response:
        self.asked += 1
        await self.go.wait()
        return 200, b"{}"

    async def send(self, request: bytes, wire: Wire | None = None) -> Wire:
        reader, writer = wire or await asyncio.open_connection("127.0.0.1", self.port)
        self.wires.append((reader, writer))
        writer.write(request)
        for _ in range(10):  # turns of the loop, which a busy machine does not take from the server
            await asyncio.sleep(0.005)
        return reader, writer


@asynccontextmanager
async def serving(folder: Path, most: int) -> AsyncIterator[Served]:
    served = Served(folder, most)
    served.config.load()
    served.server.lifespan = served.config.lifespan_class(served.config)
    await served.server.startup()
    served.port = served.server.servers[0].sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        for _, writer in served.wires:
            writer.close()
        await served.server.shutdown()


async def answer(wire: Wire) -> tuple[int, str]:
    """Return the status and the body of the next answer."""
    async with asyncio.timeout(5):
        head = (await wire[0].readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = (await wire[0].readexactly(length)).decode()
    if head.split()[1] == "503":
        assert "retry-after: 1" in head
        assert "application/problem+json" in head
    return int(head.split()[1]), body


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "Server", uvicorn.Server)
    for choices in (uvicorn.config.HTTP_PROTOCOLS, uvicorn.config.LOOP_FACTORIES):
        monkeypatch.setitem(choices, "auto", choices["auto"])
    use_for_uvicorn()


def test_bentoml_gets_these_connections_and_a_loop_that_accepts_many_at_once() -> None:
    config = uvicorn.Config(inner)
    config.load()
    factory = config.get_loop_factory()
    assert config.http_protocol_class is Connection
    assert uvicorn.Server is DrainingServer
    assert factory is asyncio.SelectorEventLoop


def test_what_has_no_place_is_refused_at_once_and_probes_are_not(tmp_path: Path) -> None:
    async def attack() -> None:
        async with serving(tmp_path, most=2) as served:
            waiting = [await served.send(REQUEST) for _ in range(2)]
            for _ in range(3):
                refused = await served.send(REQUEST)
                status, body = await answer(refused)
                assert (status, "too many requests" in body) == (503, True)
                assert (await answer(await served.send(READY, refused)))[0] == 200
            assert served.asked == 2
            served.go.set()
            for wire in (*waiting, refused):
                if wire is refused:
                    await served.send(REQUEST, wire)
                assert await answer(wire) == (200, "{}")

    asyncio.run(attack())


def test_many_that_come_in_one_turn_do_not_all_get_in(tmp_path: Path) -> None:
    async def attack() -> None:
        async with serving(tmp_path, most=4) as served:
            wires = await asyncio.gather(*(served.send(REQUEST) for _ in range(40)))
            served.go.set()
            statuses = [(await answer(wire))[0] for wire in wires]
            assert (statuses.count(200), statuses.count(503)) == (4, 36)

    asyncio.run(attack())


def test_a_request_in_parts_is_refused_like_a_whole_one(tmp_path: Path) -> None:
    async def attack() -> None:
        async with serving(tmp_path, most=1) as served:
            waiting = await served.send(REQUEST)
            wire = await served.send(REQUEST[:60])
            await served.send(REQUEST[60:-1], wire)
            await served.send(REQUEST[-1:], wire)
            assert (await answer(wire))[0] == 503
            await served.send(REQUEST, wire)
            assert (await answer(wire))[0] == 503
            served.go.set()
            assert (await answer(waiting))[0] == 200

    asyncio.run(attack())


@pytest.mark.parametrize(
    "data",
    [
        REQUEST[:-1],
        REQUEST + b" ",
        REQUEST + REQUEST,
        REQUEST.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 2"),
        REQUEST.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked\r\nContent-Length: 2"),
        REQUEST.replace(b"Content-Length: 2", b"Content-Length: +2"),
        REQUEST.replace(b"Content-Length: 2\r\n", b""),
    ],
)
def test_only_one_whole_request_is_answered_before_it_is_parsed(data: bytes) -> None:
    assert is_whole(REQUEST)
    assert not is_whole(data)


async def sockets_connected(served: Served, count: int) -> list[Wire]:
    """Connections that the kernel has made, with a request each, and that nobody has accepted."""
    connected = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(count)]
    for each in connected:
        each.sendall(REQUEST)
    wires = [await asyncio.open_connection(sock=each) for each in connected]
    served.wires += wires
    return wires


def test_a_server_that_ends_answers_all_who_were_connected_and_then_refuses(
    tmp_path: Path,
) -> None:
    async def attack() -> None:
        async with serving(tmp_path, most=8) as served:
            (listener,) = served.server.servers
            supervisors = listener.sockets[0].dup()  # it stays open until all workers have ended
            idle, under_way = await served.send(READY), await served.send(REQUEST)
            assert (await answer(idle))[0] == 200
            waiting = await sockets_connected(served, 3)
            served.go.set()
            ending = asyncio.create_task(served.server.shutdown())
            await asyncio.sleep(0)
            await served.send(REQUEST, idle)
            for wire in (under_way, *waiting, idle):
                assert await answer(wire) == (200, "{}")
                assert await wire[0].read() == b""  # closed, and not reset
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(supervisors.getsockname())
            await ending
            supervisors.close()

    asyncio.run(attack())


def test_a_server_that_ends_late_answers_what_it_has_not_read(tmp_path: Path) -> None:
    """The event loop is busy for so long that the time of an idle connection is over meanwhile."""

    async def attack() -> None:
        async with serving(tmp_path, most=2) as served:
            served.go.set()
            wire = await served.send(REQUEST)
            assert (await answer(wire))[0] == 200
            loop = asyncio.get_running_loop()
            ending = asyncio.create_task(served.server.shutdown())
            await asyncio.sleep(0.02)

            def be_busy() -> None:
                time.sleep(connections.LINGER + 0.1)
                loop.call_soon(wire[1].write, REQUEST)

            loop.call_soon(be_busy)
            assert (await answer(wire))[0] == 200
            await ending

    asyncio.run(attack())


def test_an_idle_connection_does_not_keep_a_server_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LINGER", 0.1)

    async def attack() -> None:
        async with serving(tmp_path, most=8) as served:
            idle, half = await served.send(READY), await served.send(REQUEST[:20])
            assert (await answer(idle))[0] == 200
            async with asyncio.timeout(5):
                await served.server.shutdown()
            assert (await idle[0].read(), await half[0].read()) == (b"", b"")

    asyncio.run(attack())


@pytest.mark.parametrize("sent", [b"", REQUEST[:1], REQUEST[:60], READY + REQUEST[:60]])
def test_a_head_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.2)

    async def attack() -> None:
        async with serving(tmp_path, most=8) as served:
            slow, whole = await served.send(sent), await served.send(REQUEST)
            async with asyncio.timeout(5):
                answered = await slow[0].read()
            assert answered.startswith(b"HTTP/1.1 200") == sent.startswith(READY)
            await asyncio.sleep(0.3)
            served.go.set()
            assert await answer(whole) == (200, "{}")

    asyncio.run(attack())


def test_a_refused_connection_is_not_read_again_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PAUSE", 0.3)

    async def attack() -> None:
        async with serving(tmp_path, most=1) as served:
            waiting = await served.send(REQUEST)
            refused = await served.send(REQUEST)
            assert (await answer(refused))[0] == 503
            start = asyncio.get_running_loop().time()
            await served.send(REQUEST, refused)
            assert (await answer(refused))[0] == 503
            assert 0.2 < asyncio.get_running_loop().time() - start < 2
            served.go.set()
            assert (await answer(waiting))[0] == 200

    asyncio.run(attack())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_limit_follows_what_is_answered_in_time() -> None:
    clock = Clock()
    limit = AdaptiveLimit(200, clock)

    def work(seconds: float) -> int:
        """Let in all that find a place, answer them after some seconds, and return how many."""
        inside = []
        while not limit.is_reached:
            inside.append(limit.count())
            inside[-1].__enter__()
        with pytest.raises(Refused), limit.count():
            pass
        clock.now += seconds
        for each in inside:
            each.__exit__(None, None, None)
        return len(inside)

    assert work(0.01) == load.FIRST
    quick = [work(0.01) for _ in range(240)]
    assert quick == sorted(quick)
    assert quick[-1] == 200
    slow = [work(2 * load.TARGET) for _ in range(20)]
    assert slow == sorted(slow, reverse=True)
    assert slow[:2] == [200, 160]
    assert slow[-1] == load.FEWEST


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this filter")
def test_a_listener_that_is_left_leaves_new_connections_unanswered_and_keeps_the_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as late:
        with socket.create_connection(listening.getsockname()) as early:
            draining.leave_unanswered(listening)
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.connect(listening.getsockname())
            early.sendall(b"asked")
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.recv(9) == b"asked"
        listening.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listening.getsockname())
