"""One of several server processes over one Redis: all dialects at one address, in one colour. A
header of each answer names the process.

    python -m tests.wire.dialects.worker sync|async ORIGIN REDIS_URL PREFIX

It prints its port once it answers there, and ends when its standard input is closed. Its store
never re-reads a login during a wait, so a wait ends early only if another process notifies it.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from qrlogin import AsyncQRLogin, QRLogin
from qrlogin.stores import AsyncRedisStore, RedisStore
from qrlogin.wire import AsyncEndpoint, Endpoint
from tests.servers import LOOPBACK
from tests.wire.dialects import dialect_clients
from tests.wire.sites import KEY, SLOTS, Application, wsgiref_server

NEVER = 600  # seconds; longer than any wait
HOLD = 25.0
PID = ("Server-Pid", str(os.getpid()))


def main(colour: str, origin: str, redis_url: str, prefix: str) -> None:
    options: dict[str, Any] = {
        "secret_keys": [KEY],
        "verification_uri": f"{origin}/scan",
        "policy": dialect_clients.TYPED,
    }
    store: dict[str, Any] = {"prefix": prefix, "reread": NEVER}
    if colour == "async":
        asyncio.run(awaited(redis_url, store, options))
        return
    with QRLogin(RedisStore.from_url(redis_url, **store), **options) as qr:
        app = dialect_clients.wsgi(Endpoint(qr, max_waiting=SLOTS), Application(), HOLD)

        def signed(environ: Any, start_response: Any) -> Any:
            return app(environ, lambda status, headers: start_response(status, [*headers, PID]))

        server = wsgiref_server(0, signed)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        sys.stdin.read()
        server.shutdown()


async def awaited(redis_url: str, store: dict[str, Any], options: dict[str, Any]) -> None:
    async with AsyncQRLogin(AsyncRedisStore.from_url(redis_url, **store), **options) as qr:
        app = dialect_clients.asgi(AsyncEndpoint(qr, max_waiting=SLOTS), Application(), HOLD)

        async def signed(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
            async def sign(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"].append(tuple(part.encode() for part in PID))
                await send(message)

            await app(scope, receive, sign)

        server = uvicorn.Server(
            uvicorn.Config(signed, LOOPBACK, 0, log_config=None, lifespan="off")
        )
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    main(*sys.argv[1:])
