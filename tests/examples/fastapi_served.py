"""Runs the FastAPI example inside the test process, with its event loop in a thread, so that a test
can reach its internals.

The lifespan does not run, because only the main thread receives signals. Tests that need it start
the example as a process (`running.py`).
"""

import asyncio
import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn

from tests.examples.running import EXAMPLES
from tests.examples.visitors import PASSWORD, Visitor
from tests.servers import LOOPBACK
from tests.wire.clock import PATIENCE_SECONDS, eventually

FOLDER = EXAMPLES / "fastapi_app"
MODULES = tuple(sorted(path.stem for path in FOLDER.glob("*.py")))


@contextlib.contextmanager
def imported(instance: Path, **env: str) -> Iterator[ModuleType]:
    """The example's `app` module, imported anew for this environment, with an empty database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        for name in (
            "SECRET_KEY",
            *(
                f"QRLOGIN_{each}"
                for each in ("STORE", "DIALECTS", "CLIENTS", "PROXIES", "SECRET_KEYS", "ORIGIN")
            ),
        ):
            patch.delenv(name, raising=False)
        for name, text in {"QRLOGIN_DATABASE": str(instance / "people.sqlite3"), **env}.items():
            patch.setenv(name, text)
        for name in MODULES:
            patch.delitem(sys.modules, name, raising=False)
        try:
            import settings  # type: ignore[import-not-found]

            patch.setattr(settings.read, "__defaults__", (os.environ, instance))
            import accounts  # type: ignore[import-not-found]
            import app  # type: ignore[import-not-found]

            accounts.Base.metadata.create_all(app.engine)
            yield app
            app.engine.dispose()
        finally:
            for name in MODULES:
                sys.modules.pop(name, None)


@dataclass
class Served:
    module: Any
    origin: str
    loop: asyncio.AbstractEventLoop

    def call(self, function: Any) -> Any:
        """Calls the function in the event loop and returns its result."""

        async def call() -> Any:
            result = function()
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(PATIENCE_SECONDS)


@contextlib.contextmanager
def served(instance: Path, **env: str) -> Iterator[Served]:
    listener = socket.create_server((LOOPBACK, 0))
    origin = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    with listener, imported(instance, QRLOGIN_ORIGIN=origin, **env) as module:
        server = uvicorn.Server(uvicorn.Config(module.app, log_config=None, lifespan="off"))
        loop = asyncio.new_event_loop()

        def serve() -> None:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(server.serve([listener]))

        thread = threading.Thread(target=serve)
        thread.start()
        site = Served(module, origin, loop)
        try:
            eventually(lambda: server.started or not thread.is_alive())
            assert server.started
            yield site
            site.call(module.qr.close)
        finally:
            server.should_exit = True
            thread.join()
            loop.close()


def signed_up(site: Served, name: str) -> Visitor:
    visitor = Visitor(site.origin)
    assert visitor.send_form("/signup", name=name, password=PASSWORD).status_code == 303
    return visitor
