"""End a worker so that every request that was sent to it is answered.

A client whose connection waits to be accepted believes that it is connected: it has sent its
request. BentoML's supervisor keeps the listening socket open until all workers have ended, so that
clients would go on to connect, and be reset when it closes the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import select
import socket
import struct
import sys
from collections.abc import Sequence

import psutil
import uvicorn

WORKER = "_bentoml_impl.worker.service"  # the module that BentoML runs as a worker
LONGEST = 5.0  # seconds for which connections are accepted that came before the end
HANDSHAKE = 0.1  # seconds in which a connection that has begun is made
SO_ATTACH_FILTER = 26  # of Linux; Python has no name for it
# Instructions of the kernel's packet filter: of what arrives, drop what asks for a connection (the
# flag SYN of TCP without ACK), and let the rest pass.
ONLY_KNOWN = (
    (0x30, 0, 0, 13),  # load the byte of TCP's flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK of them
    (0x15, 0, 1, 0x02),  # go on if it is SYN alone, else skip a line
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # let it pass
)


class DrainingServer(uvicorn.Server):
    """A server that accepts whom the kernel has connected, and then refuses connections.

    Afterwards `Connection.shutdown` lets each connection have its last answer.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the server: nobody who was connected is left without an answer."""
        listening = [each for server in self.servers for each in server.sockets]
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if is_last_worker():
            await self._refuse_connections(listening)
        await super().shutdown(sockets)

    async def _refuse_connections(self, listening: Sequence[socket.socket]) -> None:
        """Let the loop accept whom the kernel has connected, then let it connect nobody else.

        A connection that is made between the last look and the end of listening would be reset, so
        the kernel is told first to leave new ones unanswered; they are refused when they ask again.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + LONGEST
        for each in listening:
            leave_unanswered(each)
        await asyncio.sleep(HANDSHAKE)
        while select.select(listening, (), (), 0)[0] and loop.time() < until:
            await asyncio.sleep(0)
        for each in listening:
            each.shutdown(socket.SHUT_RDWR)


def leave_unanswered(listening: socket.socket) -> None:
    """Let the kernel drop whatever asks a listening socket for a connection, where it can."""
    if sys.platform != "linux":
        return
    lines = b"".join(struct.pack("HBBI", *line) for line in ONLY_KNOWN)
    program = ctypes.create_string_buffer(lines)
    place = struct.pack("HP", len(ONLY_KNOWN), ctypes.addressof(program))
    with contextlib.suppress(OSError):  # where the kernel has no such filter, or allows none
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, place)


def is_last_worker() -> bool:
    """Tell whether no other worker of the supervisor accepts connections from the same socket."""
    try:
        others = psutil.Process().parent().children()
        commands = [each.cmdline() for each in others if each.pid != psutil.Process().pid]
    except (psutil.Error, AttributeError):
        return True
    return not any(WORKER in command for command in commands)
