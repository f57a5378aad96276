"""A TCP proxy on loopback that can lose or delay replies, stay silent, or refuse connections."""

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.servers import LOOPBACK

CHUNK = 65536


class Proxy:
    """A proxy between a client and the server at `port`. Settings may be changed at any time."""

    def __init__(self, port: int, *, losable: bytes = b"\r\nEVAL") -> None:
        self.upstream, self._losable = port, losable
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._wires: list[_Wire] = []
        self.port = 0
        self.connected = 0  # how many connections were made so far
        self.lost = 0  # how many replies were lost so far
        # How many of the next replies will be lost, to requests that contain `losable`: by default,
        # calls of scripts.
        self.losing = 0
        self.delay = 0.0  # seconds by which each reply is late
        self.mute = False  # swallows everything and keeps the connection open
        self.refusing = False  # new connections are cut at once

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def freeze(self) -> None:
        """Pass nothing on over the connections of now, and keep them open; later ones work."""
        for wire in self._wires:
            wire.is_frozen = True

    def _reset_all(self) -> None:
        for writer in self._writers:
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            reset(writer)
            return
        self.connected += 1
        try:
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self.upstream)
        except OSError:
            reset(writer)
            return
        both = {writer, server_writer}
        self._writers |= both
        self._wires.append(wire := _Wire())
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._up(reader, server_writer, wire))
                pumps.create_task(self._down(server_reader, writer, wire))
        except* (OSError, Cut):
            pass
        finally:
            self._writers -= both
            for each in both:
                reset(each)

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: "_Wire"
    ) -> None:
        while data := await reader.read(CHUNK):
            if self.losing and self._losable in data:
                self.losing -= 1
                wire.loses = True
            if not (self.mute or wire.is_frozen):
                writer.write(data)
        raise Cut

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: "_Wire"
    ) -> None:
        while data := await reader.read(CHUNK):
            if wire.loses:
                self.lost += 1
                raise Cut
            if self.delay:
                await asyncio.sleep(self.delay)
            if not (self.mute or wire.is_frozen):
                writer.write(data)
        raise Cut

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
        self.refusing = True
        # Not yet `close`: it leaves a connection open that is accepted at this moment.
        for each in self._server.sockets:
            self._loop.remove_reader(each.fileno())
        # One that was accepted before makes a task more.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            self._reset_all()
            await asyncio.wait(others, timeout=0.1)
        await asyncio.sleep(0)  # a reset closes the socket in the next turn
        self._server.close()


@dataclass
class _Wire:
    """One connection."""

    loses: bool = False  # the reply to its last script will not arrive
    is_frozen: bool = False


class Cut(Exception):
    """This connection is over, and so is its other half."""


def reset(writer: asyncio.StreamWriter) -> None:
    """Reset the connection, as a firewall or a server that died does."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()
