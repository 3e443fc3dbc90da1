"""A uvicorn server that starts, stops and breaks connections at once; imports uvicorn, so import it late."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import TYPE_CHECKING

import uvicorn

from jobdash.demo.emulator.middleware import FaultMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobdash.demo.emulator.emulator import Emulator

IDLE_TIMEOUT = 75
"""Seconds a connection may idle, so that a client polling every half minute does not run into its closing."""
LINGER_NOT = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends RST, not FIN."""


class PromptServer(uvicorn.Server):
    """Serves an emulator until `stop` is called, from any thread."""

    def __init__(self, emulator: Emulator, on_started: Callable[[PromptServer], None]) -> None:
        config = uvicorn.Config(
            FaultMiddleware(emulator, self.reset),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            timeout_keep_alive=IDLE_TIMEOUT,
        )
        super().__init__(config)
        # A handler of its own keeps `logging` from writing to the terminal when nobody has set it up.
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        self._on_started = on_started
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    def stop(self) -> None:
        """Make the server return soon."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    def reset(self, client: tuple[str, int]) -> None:
        """Reset the connection from that address, so that the client sees neither an answer nor an end."""
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if transport.get_extra_info("peername") == client:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
                transport.abort()

    async def main_loop(self) -> None:
        """Wait for `stop`; uvicorn's own loop looks ten times a second."""
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._on_started(self)
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop everything; uvicorn would wait for answers under way."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
