"""The demo as a process: where it listens, how it stops, what it logs; and its HTTP in bytes."""

import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import pytest

from qrlogin.demo.server import Server, redacted
from qrlogin.wire.message import BODY_CAP, StartResponse
from tests.demo.running import TIMEOUT_S, RunningDemo, call, run
from tests.security_rows import row
from tests.servers import RedisServer
from tests.tables import for_each_row

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
    assert redacted("/a?code=x") == "/a"
    assert redacted("/qr/WDJB-MJHT") == redacted("/qr/WDJBMJHT?a=b") == "/qr/…"
    assert redacted("/qr") == "/qr"
    assert redacted("/a\x1b[2J/\u202e/é") == "/…/…/…"


def test_keygen_prints_a_new_valid_key() -> None:
    from qrlogin import MemoryStore, QRLogin

    one, two = (run("keygen").stdout.strip() for _ in range(2))
    assert one != two
    QRLogin(
        MemoryStore(), secret_keys=[one, two], verification_uri="https://example.com/qr"
    ).close()


# Its HTTP


@pytest.fixture
def echo_port() -> Iterator[int]:
    """The port of a server whose application answers with the request."""

    def application(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/broken":
            raise RuntimeError("a bug")
        names = (
            "REQUEST_METHOD",
            "PATH_INFO",
            "QUERY_STRING",
            "HTTP_COOKIE",
            "HTTP_X_ONE",
            "CONTENT_TYPE",
            "REMOTE_ADDR",
        )
        body = repr([environ.get(name) for name in names] + [environ["wsgi.input"].read()]).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    with Server("127.0.0.1", 0) as server:
        server.start(application)
        yield server.port
        server.stop(lambda: None)


def send_raw(port: int, *requests: bytes, until: bytes = b"") -> bytes:
    """Sends requests on one connection. Returns the answers up to its end, or up to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        received = b""
        for request in requests:
            connection.sendall(request)
        while not (until and until in received) and (read := connection.recv(65536)):
            received += read
    return received


def test_a_connection_serves_several_requests(echo_port: int) -> None:
    get = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    received = send_raw(
        echo_port, get % 1, get % 2, b"GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert re.findall(rb"'/\d'", received) == [b"'/1'", b"'/2'", b"'/3'"]


def test_the_application_gets_the_request_unchanged(echo_port: int) -> None:
    received = send_raw(
        echo_port,
        b"PROPFIND /a%20b%2Fc?d=%20e&d HTTP/1.1\r\nHost: x\r\nCookie: a=1\r\nCookie: b=2\r\n"
        b"X-One: 1\r\nX_One: 2\r\nX-One: 3\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    )
    expected = [
        "PROPFIND",
        "/a b/c",
        "d=%20e&d",
        "a=1; b=2",
        "1,3",
        "text/plain",
        "127.0.0.1",
        b"hi",
    ]
    assert received.endswith(repr(expected).encode())


def test_an_answer_to_head_has_no_body(echo_port: int) -> None:
    received = send_raw(echo_port, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"\r\n\r\n")


#: What a proxy and a lenient server read in two ways. After each comes a request that only one of
#: them would see.
AMBIGUOUS = {
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3",
    "two equal lengths": b"Content-Length: 0\r\nContent-Length: 0",
    "a negative length": b"Content-Length: -1",
    "a length in hexadecimal": b"Content-Length: 0x2",
    "a length with a sign": b"Content-Length: +0",
    "a list of lengths": b"Content-Length: 0, 0",
    "no length": b"Content-Length:",
    "chunks": b"Transfer-Encoding: chunked",
    "chunks and a length": b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    "an empty transfer encoding": b"Transfer-Encoding:\r\nContent-Length: 0",
    "an unknown transfer encoding": b"Transfer-Encoding: identity",
    "a blank before the colon": b"Content-Length : 0",
    "a blank before the name": b" Content-Length: 0",
    "a folded line": b"X-One: 1\r\n Content-Length: 9",
    "a line without a colon": b"X-One\r\nContent-Length: 0",
    "a line without a name": b": x\r\nContent-Length: 0",
    "a name that is not a token": b"X(One): 1\r\nContent-Length: 0",
    "a bare CR in a value": b"X-One: 1\rContent-Length: 9",
    "a bare CR in a name": b"X\rOne: 1",
    "a bare LF at the end of a line": b"X-One: 1\nContent-Length: 0",
    "a bare LF in a value": b"X-One: 1\n\nGET /smuggled HTTP/1.1\r\nHost: x",
    "a NUL": b"X-One: 1\x00",
    "another control character": b"X-One: 1\x0b",
    "two hosts": b"Host: y",
}


@for_each_row("head", AMBIGUOUS.values())
def test_an_ambiguous_request_is_rejected_and_ends_its_connection(
    echo_port: int, head: bytes
) -> None:
    """A proxy and the server would disagree about where the next request begins (RFC 9112 sections
    2.2, 5 and 11.2).
    """
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    received = send_raw(
        echo_port, b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + smuggled
    )
    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"/smuggled'" not in received


@for_each_row(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET / x HTTP/1.1",
        b"GET /\r HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"G(T / HTTP/1.1",
        b"GET / http/1.1",
        b"GET / HTTP/1.10",
        b"GET / HTTP/2.0",
        b"GET /",
    ],
)
def test_a_malformed_request_line_is_rejected(echo_port: int, line: bytes) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    received = send_raw(echo_port, line + b"\r\nHost: x\r\n\r\n" + smuggled)
    assert re.match(rb"HTTP/1\.1 (400|505)", received)
    assert received.count(b"HTTP/1.1 ") == 1


def test_a_long_body_is_cut_off_and_the_connection_ends(echo_port: int) -> None:
    size = 300_000
    received = send_raw(
        echo_port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"z" * size
    )
    assert received.startswith(b"HTTP/1.1 200")
    assert received.count(b"z") == BODY_CAP + 1
    assert b"\r\nConnection: close\r\n" in received


def test_an_exception_in_the_application_is_a_500_and_the_server_continues(
    echo_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert send_raw(echo_port, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n").startswith(
        b"HTTP/1.1 500"
    )
    assert b"a bug" not in send_raw(echo_port, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "a bug" in capfd.readouterr().err
    assert b"200 OK" in send_raw(
        echo_port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    "nonsense",
    [b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000],
)
def test_malformed_requests_do_not_stop_the_server(
    echo_port: int, nonsense: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", echo_port), timeout=10) as connection:
        connection.sendall(nonsense)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert b"200 OK" in send_raw(
        echo_port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert capfd.readouterr().err == ""


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
