"""The demo as a process: where it listens, how it stops, and what it logs."""

import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from typing import Any

import pytest

from qrlogin.demo.server import Server, redacted
from qrlogin.wire.message import StartResponse
from tests.demo.running import TIMEOUT_S, RunningDemo, call, run
from tests.security_rows import row
from tests.servers import RedisServer

# The process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_stops_at_once_while_browsers_wait(number: signal.Signals) -> None:
    with RunningDemo() as demo:
        held = [hold_status(demo) for _ in range(4)]
        assert demo.end(number) == 0
        assert [future.result(TIMEOUT_S) for future in held] == [
            200
        ] * 4  # with the status as it is, not cut off
        assert "Traceback" not in demo.output


def test_the_demo_stops_while_redis_hangs(own_redis: RedisServer) -> None:
    with RunningDemo("--store", own_redis.url) as demo:
        hold_status(demo)
        own_redis.process.send_signal(signal.SIGSTOP)
        try:
            assert demo.end() == 0
        finally:
            own_redis.process.send_signal(signal.SIGCONT)


def test_the_demo_prints_its_addresses_and_a_code() -> None:
    with RunningDemo() as demo:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", demo.origin)
        assert demo.text.startswith(f"{demo.origin}/qr/")
        demo.until("Waiting for a phone")
        assert f"{demo.origin}/demo/terminal" in demo.output
        assert re.search(
            r"Or type [A-Z]{4}-[A-Z]{4} at " + re.escape(demo.origin) + "/qr$",
            demo.until("Waiting for a phone.*"),
        )
        assert "other dialects" not in demo.output
        assert sum("█" in line for line in demo.lines) > 20
        assert "\x1b" not in demo.output  # no escape sequences in a pipe
        assert "WARNING" not in demo.output
        assert "Press Ctrl-C to stop.\nTo use a real phone, start it with --lan.\n" in demo.output


def test_idle_connections_keep_nobody_out() -> None:
    """A browser keeps up to six of them, and a class has thirty browsers."""
    with RunningDemo() as demo, ExitStack() as idle:
        port = int(demo.origin.rpartition(":")[2])
        for _ in range(180):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), TIMEOUT_S))
        with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as one_more:
            one_more.request("GET", "/")
            assert one_more.getresponse().status in (200, 302, 303)


def test_a_port_in_use_is_reported() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run("demo", "--port", str(port))
    assert done.returncode == 2
    assert f"cannot use port {port}" in done.stderr
    assert "--port" in done.stderr
    assert done.stdout == ""


def test_without_a_port_option_the_next_free_port_is_used() -> None:
    code = "import qrlogin.demo.run as r; r.PORT = {}; r._serve = lambda origin, *_: print(origin)"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run("demo", code=code.format(port))
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(r"http://127\.0\.0\.1:(\d+)", done.stdout.strip())
    assert match
    assert port < int(match[1]) < port + 10
    assert f"Port {port} is in use" in done.stderr
    assert match[1] in done.stderr


def test_the_lan_option_prints_a_warning() -> None:
    with RunningDemo("--lan") as demo:
        demo.until("Waiting for a phone|--lan: this machine is on no network")
        if "on no network" in demo.output:
            assert demo.process.wait(TIMEOUT_S) == 2
            return
        assert "WARNING" in demo.output
        assert "Never use it with real accounts" in demo.output
        address = demo.origin.removeprefix("http://").partition(":")[0]
        assert address != "0.0.0.0"
        assert demo.text.startswith(f"{demo.origin}/qr/")
        assert demo.browser().get("/phone").status == 200
        assert demo.browser().post("/qrlogin/begin", {}).status == 201


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--store", "mysql://x"), "--store: a store is memory, or an address such as redis://"),
        (("--store", "redis://127.0.0.1:1/0"), "the store did not answer"),
        (("--lifetime", "601"), "between 1 and 600"),
        (("--lifetime", "0"), "between 1 and 600"),
        (("--port", "65536"), "0 (any free port) to 65535"),
        (("--port", "http"), "0 (any free port) to 65535"),
        (("--port", "-1"), "--port"),
        (("--nonsense",), "--nonsense"),
        (("--dialects", "wechat,qq"), "--dialects: there is no 'qq'; there are wechat, "),
        (("--key", "short-and-SECRET"), "python -m qrlogin keygen"),
        (("--origin", "http://192.0.2.7:8000"), "verification_uri must be https"),
        (("--origin", "http://127.0.0.1:8000/demo"), "an address without a path"),
        (("--origin", "127.0.0.1:8000"), "must be the full address"),
        (("--origin", "http://127.0.0.1:8000", "--self-check"), "leave --origin out"),
    ],
)
def test_invalid_options_are_rejected(options: tuple[str, ...], says: str) -> None:
    done = call("demo", *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "SECRET" not in done.stderr + done.stdout


def test_without_the_redis_client_the_demo_names_the_extra_to_install() -> None:
    done = run(
        "demo", "--store", "redis://127.0.0.1:1/0", code="import sys; sys.modules['redis'] = None"
    )
    assert done.returncode == 2
    assert "pip install 'qrlogin[redis]'" in done.stderr


@row(39)
def test_the_log_contains_no_code() -> None:
    with RunningDemo("--log") as demo:
        browser = demo.browser()
        begun = browser.post("/qrlogin/begin", {}).json
        path = begun["verification_uri_complete"].removeprefix(demo.origin)
        browser.get(path)
        browser.get(f"/qrlogin/{begun['login_id']}?after=1&wait=0")
        browser.get(f"/{path.rpartition('/')[2]}?code={begun['login_id']}")
        browser.get("/demo/phone-window")
        demo.until("GET /demo/phone-window 303")
        log = [line for line in demo.lines if re.match("GET|POST", line)]
        assert {
            "POST /qrlogin/begin 201",
            "GET /qr/… 200",
            "GET /qrlogin/… 200",
            "GET /… 404",
        } <= set(log)
        code = path.rpartition("/")[2]
        for secret in (begun["login_id"], code[:21], code[27:]):
            assert secret not in "\n".join(log)


def test_the_demo_logs_no_requests_by_default(demo: RunningDemo) -> None:
    demo.browser().get("/phone")
    assert "GET" not in demo.output


def test_a_logged_path_is_redacted() -> None:
    assert redacted("/qrlogin/qr-login-element.js") == "/qrlogin/qr-login-element.js"
    assert redacted("/qrlogin/" + "a" * 22) == "/qrlogin/…"
    assert redacted("/qr/WDJB-MJHT") == redacted("/qr/WDJBMJHT") == "/qr/…"
    assert redacted("/qr") == "/qr"
    assert redacted("/a\x1b[2J/\u202e/é") == "/…/…/…"


def test_keygen_prints_a_new_valid_key() -> None:
    from qrlogin import MemoryStore, QRLogin

    one, two = (run("keygen").stdout.strip() for _ in range(2))
    assert one != two
    QRLogin(
        MemoryStore(), secret_keys=[one, two], verification_uri="https://example.com/qr"
    ).close()


# Its server


def test_an_error_of_the_application_is_logged_and_the_server_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def application(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/broken":
            raise RuntimeError("a bug")
        start_response("200 OK", [("Content-Length", "0")])
        return ()

    def status(path: str) -> int:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    with Server("127.0.0.1", 0) as server:
        server.start(application)
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)) as connection:
            assert [status(path) for path in ("/", "/broken", "/")] == [200, 500, 200]
        server.stop(lambda: None)
    assert "RuntimeError: a bug" in caplog.text


def test_without_waitress_the_demo_names_the_extra_to_install() -> None:
    done = run("demo", code="import sys; sys.modules['waitress'] = None")
    assert done.returncode == 2
    assert "pip install 'qrlogin[demo]'" in done.stderr
    assert "Traceback" not in done.stderr


def hold_status(demo: RunningDemo) -> "Future[int]":
    """Starts a held status. Returns the future of its HTTP status.

    It sends two: the newer one ends the older one, which proves that the newer one is held.
    """
    browser = demo.browser()
    begun = browser.post("/qrlogin/begin", {}).json
    path = f"/qrlogin/{begun['login_id']}?after={begun['version']}&wait=25"
    polls = {_in_thread(lambda: browser.get(path).status) for _ in range(2)}
    over, held = wait(polls, TIMEOUT_S, FIRST_COMPLETED)
    assert [future.result() for future in over] == [409]
    return held.pop()


def _in_thread(work: Callable[[], int]) -> "Future[int]":
    """As an executor does, but in a daemon thread."""
    future: Future[int] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
