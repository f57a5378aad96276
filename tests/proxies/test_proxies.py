"""docs/proxies.md: each configuration that it shows carries logins, in a real proxy, over TLS.

Only ports, file names and the name of the host are replaced, and what a process without root needs
is added around the configuration.
"""

import asyncio
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
import system_parts
import uvicorn
from playwright.sync_api import Browser, sync_playwright
from websockets.sync.client import connect

from qrlogin import AsyncMemoryStore, AsyncQRLogin
from qrlogin.contrib.asgi import qrlogin_app
from qrlogin.doctor.sites import look_at_site
from qrlogin.findings import Finding
from qrlogin.wire import AsyncEndpoint, BrowserContext, Cookie, Native, Person, Response
from tests.servers import CHROMIUM_ARGUMENTS, LOOPBACK, free_port, missing
from tests.wire.clock import eventually

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(240)]

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "proxies.md").read_text("utf-8")
PATIENCE = 60.0  # seconds, on a machine with too much to do
SPOOFED = "203.0.113.66"


def shown(language: str) -> str:
    """The only block of this language on the page."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.M)
    return str(block)


@dataclass(frozen=True)
class Certificate:
    """A certificate for loopback that no authority signed, its key, and both in one file."""

    certificate: Path
    key: Path
    both: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    files = Certificate(folder / "cert.pem", folder / "key.pem", folder / "both.pem")
    name = ["-subj", f"/CN={LOOPBACK}", "-addext", f"subjectAltName=IP:{LOOPBACK}"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    where = ["-keyout", str(files.key), "-out", str(files.certificate)]
    subprocess.run([*made, *where], check=True, capture_output=True, timeout=60)
    files.both.write_text(files.certificate.read_text() + files.key.read_text())
    return files


# The application


@contextmanager
def application(port: int, origin: str, max_hold: int) -> Iterator[set[bytes]]:
    """An application behind one proxy, in uvicorn. It trusts no header by itself.

    Yields each `Host` and `X-Forwarded-Proto` that it was sent.
    """
    received = set[bytes]()

    def person(scope: Any) -> Person | None:
        sent = dict(scope["headers"]).get(b"authorization")
        signed_in = sent == b"Bearer phone-of-alice"
        return Person("1", name="alice@example.com", by_token=True) if signed_in else None

    def log_in(_: Any, redeemed: Any) -> Response:
        return Response(200, cookies=(Cookie("session", redeemed.subject, max_age=600),))

    config = uvicorn.Config("made below", proxy_headers=False, log_config=None, lifespan="off")
    server = uvicorn.Server(config)

    async def serve() -> None:
        uri = f"{origin}/qr"
        async with AsyncQRLogin(
            AsyncMemoryStore(), secret_keys=[bytes(range(32))], verification_uri=uri
        ) as qr:
            native = Native(qr.core, describe=BrowserContext(proxies=1), max_hold=max_hold)
            mounted = qrlogin_app(AsyncEndpoint(qr, native, max_waiting=20), person, log_in)

            async def app(scope: Any, receive: Any, send: Any) -> None:
                if scope["type"] == "http" and not scope["path"].startswith("/qrlogin/"):
                    return await page(scope).to_asgi(send)
                sent = dict(scope["headers"])
                received.update((sent[b"host"], sent.get(b"x-forwarded-proto", b"")))
                return await mounted({**scope, "root_path": "/qrlogin"}, receive, send)

            config.app = app
            await server.serve([socket.create_server((LOOPBACK, port))])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive())
        assert server.started
        yield received
    finally:
        server.should_exit = True
        thread.join()


def page(scope: Any) -> Response:
    """The login page, with the stream that its query names; and the account."""
    html = '<!doctype html><html lang="en"><title>Page</title><h1>Your account</h1></html>'
    if scope["path"] == "/":
        stream = scope["query_string"].decode()
        html = (
            '<!doctype html><html lang="en"><title>Log in</title><script type="module" '
            'src="/qrlogin/qr-login-element.js"></script>'
            f'<qr-login src="/qrlogin/" next="/account" stream="{stream}"></qr-login></html>'
        )
    return Response(200, (("Content-Type", "text/html; charset=utf-8"),), html.encode())


# The proxies


def nginx(folder: Path, port: int, upstream: int, files: Certificate) -> list[str]:
    site = (
        shown("nginx")
        .replace("listen 443 ssl", f"listen {LOOPBACK}:{port} ssl")
        .replace("/etc/ssl/example.com.pem", str(files.certificate))
        .replace("/etc/ssl/example.com.key", str(files.key))
        .replace(":8000", f":{upstream}")
    )
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; user root; pid {folder}/pid; error_log {folder}/log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}{site}}}\n"
    )
    binary = system_parts.NGINX.find() or missing("nginx", system_parts.NGINX.how())
    command = [binary, "-p", str(folder), "-c", str(config)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr
    return command


def caddy(folder: Path, port: int, upstream: int, files: Certificate) -> list[str]:
    site = shown("caddyfile").replace(":8000", f":{upstream}")
    host = f"https://{LOOPBACK}:{port} {{\n\ttls {files.certificate} {files.key}"
    config = folder / "Caddyfile"
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
    config.write_text(options + site.replace("example.com {", host))
    binary = system_parts.CADDY.find() or missing("Caddy", system_parts.CADDY.how())
    return [binary, "run", "--adapter", "caddyfile", "--config", str(config)]


def haproxy(folder: Path, port: int, upstream: int, files: Certificate) -> list[str]:
    config = folder / "haproxy.cfg"
    config.write_text(
        shown("haproxy")
        .replace("bind :443", f"bind {LOOPBACK}:{port}")
        .replace("/etc/haproxy/example.com.pem", str(files.both))
        .replace(":8000", f":{upstream}")
    )
    binary = system_parts.HAPROXY.find() or missing("HAProxy", system_parts.HAPROXY.how())
    return [binary, "-db", "-f", str(config)]


def apache(folder: Path, port: int, upstream: int, files: Certificate) -> list[str]:
    site = (
        shown("apache")
        .replace("*:443", f"{LOOPBACK}:{port}")
        .replace("/etc/ssl/example.com.pem", str(files.certificate))
        .replace("/etc/ssl/example.com.key", str(files.key))
        .replace(":8000", f":{upstream}")
    )
    names = ["mpm_event", "authz_core", "socache_shmcb", "ssl", "headers", "proxy", "proxy_http"]
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in names
    )
    config = folder / "apache.conf"
    config.write_text(
        f"ServerRoot {folder}\nServerName {LOOPBACK}\nPidFile {folder}/pid\nMutex posixsem\n"
        f"ErrorLog {folder}/log\nListen {LOOPBACK}:{port}\nUser nobody\n{modules}{site}"
    )
    binary = system_parts.APACHE.find() or missing("Apache", system_parts.APACHE.how())
    return [binary, "-D", "FOREGROUND", "-f", str(config)]


PROXIES: dict[str, Callable[[Path, int, int, Certificate], list[str]]] = {
    "nginx": nginx,
    "Caddy": caddy,
    "HAProxy": haproxy,
    "Apache": apache,
}


@dataclass(frozen=True)
class Site:
    """What a browser sees: the address of the proxy, and how to trust its certificate."""

    port: int
    tls: ssl.SSLContext
    received: set[bytes]
    """What the application received of it: the host and the scheme."""

    @property
    def origin(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"


@contextmanager
def running(name: str, folder: Path, files: Certificate, max_hold: int = 25) -> Iterator[Site]:
    port, upstream = free_port(), free_port()
    command = PROXIES[name](folder, port, upstream, files)
    tls = ssl.create_default_context(cafile=str(files.certificate))
    env = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with (
        application(upstream, f"https://{LOOPBACK}:{port}", max_hold) as received,
        (folder / "output").open("wb") as output,
        subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output) as process,
    ):
        try:
            eventually(lambda: process.poll() is not None or is_open(port))
            assert process.poll() is None, (folder / "output").read_text(errors="replace")
            yield Site(port, tls, received)
        finally:
            process.terminate()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.fixture(scope="module", params=PROXIES)
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: Certificate,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    folder.chmod(0o755)  # Apache's workers are another user
    with running(request.param, folder, certificate) as site:
        yield site


# The two devices


class Login:
    """A browser behind the proxy, which sends a false X-Forwarded-For, and the phone."""

    def __init__(self, site: Site) -> None:
        self.site = site
        headers = {"Origin": site.origin, "X-Forwarded-For": SPOOFED}
        common: dict[str, Any] = {"verify": site.tls, "trust_env": False, "timeout": PATIENCE}
        self.browser = httpx2.Client(base_url=f"{site.origin}/qrlogin/", headers=headers, **common)
        token = {"Authorization": "Bearer phone-of-alice"}
        self.app = httpx2.Client(base_url=f"{site.origin}/qrlogin/", headers=token, **common)
        begun = self.browser.post("begin", json={})
        assert begun.status_code == 201, begun.text
        self.begun = begun.json()
        self.id = self.begun["login_id"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()
        self.app.close()

    def phone(self, verb: str) -> dict[str, Any]:
        code = self.begun["verification_uri_complete"]
        answer = self.app.post(f"phone/{verb}", json={"code": code})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def later(self, verb: str) -> None:
        """The phone acts while the browser waits."""
        threading.Timer(1, self.phone, [verb]).start()

    def poll(self, version: int) -> dict[str, Any]:
        began = time.monotonic()
        answer = self.browser.get(self.id, params={"after": version, "wait": 25})
        assert answer.status_code == 200, answer.text
        assert 0.5 < time.monotonic() - began < 24, "it was not held, or the news came late"
        return dict(answer.json())

    def redeem(self, status: dict[str, Any]) -> httpx2.Response:
        accepted = {"acknowledged": status["scanned_by"]["tag"], "op": "made-for-this-click"}
        return self.browser.post(f"{self.id}/redeem", json=accepted)


def test_a_browser_behind_each_proxy_is_logged_in_by_long_polls(site: Site) -> None:
    with Login(site) as login:
        # The proxy saw the browser at loopback. What the browser claims is not shown.
        assert login.phone("look")["context"]["address"] == LOOPBACK
        login.later("scan")
        scanned = login.poll(1)
        assert (scanned["state"], scanned["scanned_by"]["shown_as"]) == ("scanned", "a•••m")
        login.later("confirm")
        redeemed = login.redeem(login.poll(scanned["version"]))
        assert redeemed.status_code == 200
        assert redeemed.cookies["session"] == "1"
        assert redeemed.headers["cache-control"] == "no-store"
    assert site.received == {f"{LOOPBACK}:{site.port}".encode(), b"https"}


def test_events_arrive_through_each_proxy_while_the_stream_is_open(site: Site) -> None:
    with Login(site) as login:
        with login.browser.stream("GET", f"{login.id}/events") as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("data: "))
            states = [json.loads(next(lines).removeprefix("data: "))["state"]]
            for verb in ("scan", "confirm"):
                began = time.monotonic()
                login.phone(verb)
                states.append(json.loads(next(lines).removeprefix("data: "))["state"])
                assert time.monotonic() - began < 40, "the proxy kept the event until the next one"
        assert states == ["pending", "scanned", "confirmed"]


def test_a_websocket_passes_each_proxy(site: Site) -> None:
    with Login(site) as login:
        cookie = "; ".join(f"{name}={value}" for name, value in login.browser.cookies.items())
        address = f"wss://{LOOPBACK}:{site.port}/qrlogin/{login.id}/socket"
        headers = {"Origin": site.origin, "Cookie": cookie}
        options: dict[str, Any] = {"ssl": site.tls, "proxy": None, "open_timeout": PATIENCE}
        with connect(address, additional_headers=headers, **options) as channel:
            assert json.loads(channel.recv(PATIENCE))["state"] == "pending"
            login.phone("scan")
            assert json.loads(channel.recv(PATIENCE))["state"] == "scanned"


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


def test_a_person_behind_each_proxy_is_logged_in_by_the_element(
    site: Site, chromium: Browser
) -> None:
    for stream in ("", "events", "socket"):
        context = chromium.new_context(ignore_https_errors=True)
        window = context.new_page()
        window.goto(f"{site.origin}/?{stream}")
        window.wait_for_selector("qr-login[state=pending]")
        look = "it => it.shadowRoot.querySelector('[part=link]').href"
        code = window.locator("qr-login").evaluate(look)
        token = {"Authorization": "Bearer phone-of-alice"}
        for verb in ("scan", "confirm"):
            sent = httpx2.post(
                f"{site.origin}/qrlogin/phone/{verb}",
                json={"code": code},
                headers=token,
                verify=site.tls,
                trust_env=False,
                timeout=PATIENCE,
            )
            assert sent.status_code == 200, sent.text
        window.wait_for_selector("qr-login[state=confirmed]")
        window.wait_for_timeout(600)  # the buttons are inert at first
        window.get_by_role("button", name="Continue").click()
        window.get_by_role("heading", name="Your account").wait_for()
        assert [each["value"] for each in context.cookies() if each.get("name") == "session"] == [
            "1"
        ]
        context.close()


def looked_at(site: Site, files: Certificate, patch: pytest.MonkeyPatch) -> dict[str, Finding]:
    """What the doctor finds at this site, by what it looked at."""
    patch.setenv("SSL_CERT_FILE", str(files.certificate))
    return {found.about: found for found in look_at_site(f"{site.origin}/qrlogin/")}


def test_the_doctor_finds_nothing_wrong_behind_each_proxy(
    site: Site, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = looked_at(site, certificate, monkeypatch)
    worse = {name: each.seen for name, each in found.items() if each.level != "ok"}
    assert set(worse) <= {"https"}, worse  # a header that the application sends, or not
    # Until the next code is due: it was begun a moment before.
    assert re.fullmatch("held for 2[0-5] s", found["long polls"].seen)
    assert found["streams"].seen == "the beginning of an event stream arrives at once"


def test_the_doctor_says_what_nginx_does_to_waits_and_how_to_hold_shorter(
    tmp_path: Path, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = "proxy_ignore_headers X-Accel-Buffering;\n        proxy_read_timeout 5s;"
    monkeypatch.setitem(globals(), "PAGE", PAGE.replace("proxy_read_timeout 60s;", faults))
    with running("nginx", tmp_path, certificate) as site:
        found = looked_at(site, certificate, monkeypatch)
    assert found["long polls"].seen == "a proxy ends a held request with 504 after 5 s"
    assert "a proxy buffers it" in found["streams"].seen
    assert found["long polls"].fix.endswith("max_hold=4)")

    with running("nginx", tmp_path, certificate, max_hold=4) as site:
        found = looked_at(site, certificate, monkeypatch)
    assert found["long polls"].seen == "held for 4 s"


def test_nginx_serves_the_file_of_universal_links_as_json(
    tmp_path: Path, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block of docs/mobile.md, beside the application's location."""
    mobile = (DOCS / "mobile.md").read_text("utf-8")
    (location,) = re.findall("^```nginx\n(.*?)^```", mobile, re.DOTALL | re.M)
    served = str(location).replace("/srv/example", str(tmp_path))
    monkeypatch.setitem(
        globals(), "PAGE", PAGE.replace("    location / {", served + "location / {")
    )
    name = "apple-app-site-association"
    (tmp_path / ".well-known").mkdir()
    (tmp_path / ".well-known" / name).write_text('{"applinks": {}}')
    with running("nginx", tmp_path, certificate) as site:
        answer = httpx2.get(
            f"{site.origin}/.well-known/{name}", verify=site.tls, trust_env=False, timeout=PATIENCE
        )
    assert (answer.status_code, answer.json()) == (200, {"applinks": {}})
    assert answer.headers["content-type"] == "application/json"
