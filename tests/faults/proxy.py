"""A proxy whose verbs strike requests at random, in front of a real server."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.servers import LOOPBACK
from tests.stores.fault_proxy import CHUNK, Cut, Proxy, reset

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


@dataclass
class _Fate:
    """What the verbs have done to one connection."""

    loses: bool = False  # the next reply will not arrive, and the connection ends
    deaf: bool = False  # nothing that the server sends arrives
    mute: bool = False  # nothing that the client sends arrives
    delay: float = 0.0  # seconds by which the next reply is late


class VerbProxy(Proxy):
    """A proxy between a client and the server at `port`.

    :param port: of the server.
    :param chances: of each verb, for each request; `chances` may be changed at any time.
    :param longest_delay: in seconds.
    :param seed: draws the same verbs again.
    """

    def __init__(
        self,
        port: int,
        chances: Mapping[str, float],
        *,
        longest_delay: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(port)
        self.chances, self._longest_delay = chances, longest_delay
        self._random = random.Random(seed)
        #: How often each verb has struck.
        self.struck = Counter[str]()
        self._fates = defaultdict[int, _Fate](_Fate)

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Any
    ) -> None:
        fate = self._fates[id(wire)] = _Fate()
        while data := await reader.read(CHUNK):
            verb = self._draw(data)
            fate.loses |= verb == "drop reply"
            fate.deaf |= verb in ("half-open", "black hole")
            fate.mute |= verb == "black hole"
            if verb == "delay":
                fate.delay = self._random.uniform(0, self._longest_delay)
            if not (fate.mute or verb == "drop request"):
                writer.write(data)
            if verb == "duplicate":
                await self._send_copy(data)
            if verb == "reset":
                await writer.drain()
                raise Cut
        raise Cut

    def _draw(self, data: bytes) -> str:
        """The verb that strikes this request; "" for none."""
        chance = self._random.random()
        for verb, likely in self.chances.items():
            chance -= likely
            if chance < 0:
                if verb == "duplicate" and self._losable not in data:
                    return ""  # a copy of a handshake would prove nothing
                self.struck[verb] += 1
                return verb
        return ""

    async def _send_copy(self, data: bytes) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.upstream)
        writer.write(data)
        await reader.read(1)  # else the server may see the reset before it has read the request
        reset(writer)

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Any
    ) -> None:
        while data := await reader.read(CHUNK):
            fate = self._fates[id(wire)]
            if fate.loses:
                raise Cut
            delay, fate.delay = fate.delay, 0.0
            if delay:
                await asyncio.sleep(delay)
            if not fate.deaf:
                writer.write(data)
        raise Cut
