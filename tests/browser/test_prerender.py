"""A prerendered page: neither <qr-login> nor <qr-approve> sends a request before the user opens it.

Chromium does not prerender while a debugger such as Playwright is attached, so it runs without one
here. The first page continues when the server answers a request, and the second page reports to the
server what happens.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from qrlogin import MemoryStore, QRLogin
from qrlogin.demo.server import Server
from qrlogin.wire import Endpoint, Request, Response
from tests.security_rows import row
from tests.servers import CHROMIUM_ARGUMENTS, LOOPBACK, STOP_SECONDS
from tests.wire.clock import PATIENCE_SECONDS, eventually

FIRST = """<!doctype html><html lang="en"><title>First</title>
<script type="speculationrules">
{"prerender": [{"urls": ["/qr/the-code-of-a-login"], "eagerness": "immediate"}]}</script>
<script>fetch("/leave").then(() => location.assign("/qr/the-code-of-a-login"))</script></html>"""
BOTH = """<!doctype html><html lang="en"><title>Both</title><script>
const report = (what) =>
  fetch(`/report?${what} ${document.prerendering ? "unseen" : "seen"}`, { method: "POST" });
for (const kind of ["login", "approve"])
  addEventListener(`qr-${kind}:state`, ({ detail }) => report(`${kind} ${detail.state}`));
addEventListener("qr-login:state", () => setTimeout(report, 400, "a while"), { once: true });
</script>
<script type="module" src="/qrlogin/qr-login-element.js"></script>
<qr-login src="/qrlogin/"></qr-login>
<script type="module" src="/qrlogin/qr-approve-element.js"></script>
<qr-approve src="/qrlogin/phone/" at="/qr"></qr-approve></html>"""


class Site:
    """Two pages. The second one, which the first one leads to, has both elements."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.leave = threading.Event()
        self.reports: list[str] = []
        self.requests: list[str] = []  # to qrlogin, without the modules

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Any:
        path, below = str(environ["PATH_INFO"]), str(environ["PATH_INFO"]).removeprefix("/qrlogin/")
        if below != path:
            if not path.endswith(".js"):
                self.requests.append(below.partition("/")[0])
            return self.endpoint.browser(Request.from_wsgi(environ, below)).to_wsgi(start_response)
        if path == "/report":
            self.reports.append(str(environ["QUERY_STRING"]).replace("%20", " "))
        if path == "/leave":
            self.leave.wait(PATIENCE_SECONDS)
        page = {"/": FIRST, "/qr/the-code-of-a-login": BOTH}.get(path, "")
        return Response(
            200, (("Content-Type", "text/html; charset=utf-8"),), page.encode()
        ).to_wsgi(start_response)


@contextmanager
def site() -> Iterator[tuple[Site, str]]:
    with Server(LOOPBACK, 0) as server:
        url = f"http://{LOOPBACK}:{server.port}/"
        qr = QRLogin(MemoryStore(), secret_keys=[bytes(range(32))], verification_uri=f"{url}qr")
        server.start(here := Site(Endpoint(qr, max_waiting=4)))
        yield here, url
        here.leave.set()
        server.stop(qr.close)


@contextmanager
def without_debugger(chromium: str, url: str, profile: Path) -> Iterator[None]:
    """Starts a Chromium without a debugger on this page."""
    command = [
        chromium,
        "--headless",
        *CHROMIUM_ARGUMENTS,
        f"--user-data-dir={profile}",
        "--remote-debugging-port=0",
        url,
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@row(56)
def test_a_prerendered_page_sends_no_request_until_it_is_seen(
    chromium_path: str, tmp_path: Path
) -> None:
    with site() as (here, url), without_debugger(chromium_path, url, tmp_path):
        eventually(lambda: len(here.reports) >= 3)
        assert sorted(here.reports) == [
            "a while unseen",
            "approve looking unseen",
            "login starting unseen",
        ]
        assert here.requests == []
        here.leave.set()
        eventually(
            lambda: {"login pending seen", "approve refused seen"} <= {*here.reports}
        )  # this site has no phone routes
        assert here.requests.count("begin") == 1
        assert here.requests.count("phone") == 1
        assert len(here.reports) == 5
