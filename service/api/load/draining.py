"""End a worker so that every request that was sent to it is answered.

A client whose connection waits to be accepted believes that it is connected: it has sent its
request. BentoML's supervisor keeps the listening socket open until all workers have ended, so that
clients would go on to connect, and be reset when it closes the socket.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Sequence

import psutil
import uvicorn

WORKER = "_bentoml_impl.worker.service"  # the module that BentoML runs as a worker
LONGEST = 5.0  # seconds for which connections are accepted that came before the end


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
        """Let the loop accept whom the kernel has connected, then let it connect nobody else."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LONGEST
        while select.select(listening, (), (), 0)[0] and loop.time() < until:
            await asyncio.sleep(0)
        for each in listening:
            each.shutdown(socket.SHUT_RDWR)


def is_last_worker() -> bool:
    """Tell whether no other worker of the supervisor accepts connections from the same socket."""
    try:
        others = psutil.Process().parent().children()
        commands = [each.cmdline() for each in others if each.pid != psutil.Process().pid]
    except (psutil.Error, AttributeError):
        return True
    return not any(WORKER in command for command in commands)
