"""Bare ASGI, where a browser waits until its id is published in Redis, or until it disconnects: the
floor of a wait on uvicorn.
"""

import asyncio
import os
from typing import Any

import redis.asyncio as client

waiting: dict[str, asyncio.Future[None]] = {}


async def listen() -> None:
    store: Any = client.Redis.from_url(os.environ["REDIS"])
    channel = store.pubsub()
    await channel.subscribe(os.environ["CHANNEL"])
    async for message in channel.listen():
        found = (
            waiting.pop(str(message["data"], "ascii"), None)
            if message["type"] == "message"
            else None
        )
        if found and not found.done():
            found.set_result(None)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        listener = asyncio.create_task(listen())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        listener.cancel()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] != "/ready":
        login_id = scope["path"].rpartition("/")[2]
        woken = waiting[login_id] = asyncio.get_running_loop().create_future()

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        watch = asyncio.ensure_future(gone())
        await asyncio.wait({woken, watch}, return_when=asyncio.FIRST_COMPLETED)
        watch.cancel()
        waiting.pop(login_id, None)
    head = [(b"content-type", b"application/json"), (b"content-length", b"19")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b'{"state":"scanned"}'})
