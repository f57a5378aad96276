"""A TCP proxy on loopback that can lose or delay replies, stay silent, or refuse connections.

A test sets what happens to all connections, or gives each verb a chance and lets it strike requests
at random.
"""

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.servers import LOOPBACK

CHUNK = 65536
#: What can happen to one request, or to the connection on which it comes.
VERBS = {
    "drop reply": "the server carries it out; the connection is reset when the reply comes",
    "drop request": "it never arrives; the connection stays open",
    "duplicate": "it arrives twice: once more over another connection",
    "delay": "the reply is late",
    "reset": "it arrives, and the connection is reset at once",
    "half-open": "it arrives; from then on, the client receives nothing",
    "black hole": "from then on, nothing arrives in either direction",
}


class Proxy:
    """A proxy between a client and the server at `port`. Settings may be changed at any time."""

    def __init__(self, port: int, *, losable: bytes = b"\r\nEVAL", seed: int = 0) -> None:
        self._upstream, self._losable = port, losable
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.connected = 0  # how many connections were made so far
        self.lost = 0  # how many replies were lost so far
        # How many of the next replies will be lost, to requests that contain `losable`: by default,
        # calls of scripts.
        self.losing = 0
        self.delay = 0.0  # seconds by which each reply is late
        self.mute = False  # swallows everything and keeps the connection open
        self.refusing = False  # new connections are cut at once
        self.chances: Mapping[str, float] = {}  # of each verb, for each request
        self.longest_delay = 0.5  # seconds
        self.struck = Counter[str]()  # how often each verb has struck

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def _reset_all(self) -> None:
        for writer in self._writers:
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            _reset(writer)
            return
        self.connected += 1
        server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._upstream)
        both = {writer, server_writer}
        self._writers |= both
        wire = _Wire()
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._up(reader, server_writer, wire))
                pumps.create_task(self._down(server_reader, writer, wire))
        except* (OSError, _Cut):
            pass
        finally:
            self._writers -= both
            for each in both:
                _reset(each)

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: "_Wire"
    ) -> None:
        while data := await reader.read(CHUNK):
            verb = self._draw()
            if self.losing and self._losable in data:
                self.losing -= 1
                verb = "drop reply"
            wire.loses |= verb == "drop reply"
            wire.deaf |= verb in ("half-open", "black hole")
            wire.mute |= verb == "black hole"
            if verb == "delay":
                wire.delay = self._random.uniform(0, self.longest_delay)
            if not (self.mute or wire.mute or verb == "drop request"):
                writer.write(data)
            if verb == "duplicate" and self._losable in data:
                await self._send_copy(data)
            if verb == "reset":
                await writer.drain()
                raise _Cut
        raise _Cut

    def _draw(self) -> str:
        """The verb that strikes the next request; "" for none."""
        chance = self._random.random() if self.chances else 1.0
        for verb, likely in self.chances.items():
            chance -= likely
            if chance < 0:
                self.struck[verb] += 1
                return verb
        return ""

    async def _send_copy(self, data: bytes) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, self._upstream)
        writer.write(data)
        await reader.read(1)  # else the server might notice the reset before it reads the request
        _reset(writer)

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: "_Wire"
    ) -> None:
        while data := await reader.read(CHUNK):
            if wire.loses:
                self.lost += 1
                raise _Cut
            if delay := max(self.delay, wire.delay):
                wire.delay = 0.0
                await asyncio.sleep(delay)
            if not (self.mute or wire.deaf):
                writer.write(data)
        raise _Cut

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, LOOPBACK, 0), self._loop
        ).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        self._reset_all()
        await asyncio.gather(
            *(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True
        )


@dataclass
class _Wire:
    """One connection."""

    loses: bool = False  # the reply to its last request will not arrive
    deaf: bool = False  # nothing that the server sends arrives
    mute: bool = False  # nothing that the client sends arrives
    delay: float = 0.0  # seconds by which the next reply is late


class _Cut(Exception):
    """This connection is over, and so is its other half."""


def _reset(writer: asyncio.StreamWriter) -> None:
    """Reset the connection, as a firewall or a server that died does."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()
