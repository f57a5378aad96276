"""The demo as a process: where it listens, how it ends, what it writes down; and its HTTP, byte by byte."""

import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import pytest

from qrlogin.demo.server import Server, cut
from qrlogin.wire.message import BODY_CAP, StartResponse
from tests.demo.running import PATIENCE_S, RunningDemo, run
from tests.servers import RedisServer

# The process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_under_browsers_that_wait(number: signal.Signals) -> None:
    with RunningDemo() as demo:
        parked = [park(demo) for _ in range(4)]
        assert demo.end(number) == 0
        assert [each.result(PATIENCE_S) for each in parked] == [
            200
        ] * 4  # told that there is no news, not cut off
        assert "Traceback" not in demo.output


def test_it_ends_while_its_redis_hangs(own_redis: RedisServer) -> None:
    with RunningDemo("--store", own_redis.url) as demo:
        park(demo)
        own_redis.process.send_signal(signal.SIGSTOP)
        try:
            assert demo.end() == 0
        finally:
            own_redis.process.send_signal(signal.SIGCONT)


def test_what_it_prints() -> None:
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
        assert "\x1b" not in demo.output  # a pipe is no terminal
        assert "WARNING" not in demo.output


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run("demo", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} is taken" in done.stderr
    assert "--port" in done.stderr
    assert done.stdout == ""


def test_without_a_wish_the_next_free_port_is_taken() -> None:
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
    assert f"Port {port} is taken" in done.stderr
    assert match[1] in done.stderr


def test_the_lan_is_warned_of() -> None:
    with RunningDemo("--lan") as demo:
        demo.until("Waiting for a phone|--lan: this machine is in no network")
        if "in no network" in demo.output:  # said, and not stumbled over
            assert demo.process.wait(PATIENCE_S) == 2
            return
        assert "WARNING" in demo.output
        assert "never do this with real" in demo.output
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
        (("--port", "65536"), "0 (any free one) to 65535"),
        (("--port", "http"), "0 (any free one) to 65535"),
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
def test_what_cannot_be_meant_is_refused(options: tuple[str, ...], says: str) -> None:
    done = run("demo", *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "SECRET" not in done.stderr + done.stdout


def test_without_the_redis_client_it_says_what_to_install() -> None:
    done = run(
        "demo", "--store", "redis://127.0.0.1:1/0", code="import sys; sys.modules['redis'] = None"
    )
    assert done.returncode == 2
    assert "pip install 'qrlogin[redis]'" in done.stderr


def test_the_log_holds_no_code() -> None:
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
        for secret in (begun["login_id"], *path.rpartition("/")[2].split(".")):
            assert secret not in "\n".join(log)


def test_it_logs_nothing_by_default(demo: RunningDemo) -> None:
    demo.browser().get("/phone")
    assert "GET" not in demo.output


def test_a_path_is_cut_for_the_log() -> None:
    assert cut("/qrlogin/qr-login-element.js") == "/qrlogin/qr-login-element.js"
    assert cut("/qrlogin/" + "a" * 22) == "/qrlogin/…"
    assert cut("/a?code=x") == "/a"
    assert cut("/qr/WDJB-MJHT") == cut("/qr/WDJBMJHT?a=b") == "/qr/…"
    assert cut("/qr") == "/qr"
    assert cut("/a\x1b[2J/\u202e/é") == "/…/…/…"


def test_keygen_prints_a_key() -> None:
    from qrlogin import MemoryStore, QRLogin

    one, two = (run("keygen").stdout.strip() for _ in range(2))
    assert one != two
    QRLogin(
        MemoryStore(), secret_keys=[one, two], verification_uri="https://example.com/qr"
    ).close()


# Its HTTP


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server whose application says what it was asked."""

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


def talk(port: int, *requests: bytes, until: bytes = b"") -> bytes:
    """Everything that comes back on one connection until it is closed, or until these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        heard = b""
        for request in requests:
            connection.sendall(request)
        while not (until and until in heard) and (read := connection.recv(65536)):
            heard += read
    return heard


def test_a_connection_is_used_again(echo: int) -> None:
    get = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    heard = talk(echo, get % 1, get % 2, b"GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert re.findall(rb"'/\d'", heard) == [b"'/1'", b"'/2'", b"'/3'"]


def test_requests_reach_the_application_as_they_are(echo: int) -> None:
    heard = talk(
        echo,
        b"PROPFIND /a%20b%2Fc?d=%20e&d HTTP/1.1\r\nHost: x\r\nCookie: a=1\r\nCookie: b=2\r\nX-One: 1\r\nX_One: 2\r\nX-One: 3\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    )
    asked = ["PROPFIND", "/a b/c", "d=%20e&d", "a=1; b=2", "1,3", "text/plain", "127.0.0.1", b"hi"]
    assert heard.endswith(repr(asked).encode())


def test_head_has_no_body(echo: int) -> None:
    heard = talk(echo, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 200")
    assert heard.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: -1",
        b"Content-Length: 0x2",
        b"Transfer-Encoding: chunked",
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(echo: int, head: bytes) -> None:
    """Else what one reader takes for a body, another takes for the next request."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    heard = talk(echo, b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + smuggled)
    assert heard.startswith(b"HTTP/1.1 400")
    assert b"/smuggled'" not in heard


def test_a_long_body_is_cut_off_and_the_connection_ends(echo: int) -> None:
    size = 300_000
    heard = talk(
        echo, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"z" * size
    )
    assert heard.startswith(b"HTTP/1.1 200")
    assert heard.count(b"z") == BODY_CAP + 1
    assert b"\r\nConnection: close\r\n" in heard


def test_a_bug_is_a_500_and_the_server_goes_on(
    echo: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert talk(echo, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 500")
    assert b"a bug" not in talk(echo, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "a bug" in capfd.readouterr().err
    assert b"200 OK" in talk(echo, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    "nonsense",
    [b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000],
)
def test_malformed_requests_do_not_stop_the_server(
    echo: int, nonsense: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", echo), timeout=10) as connection:
        connection.sendall(nonsense)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert b"200 OK" in talk(echo, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert capfd.readouterr().err == ""


def park(demo: RunningDemo) -> "Future[int]":
    """The status of a poll that is certainly held now: of two for the same login the newer has just taken over."""
    browser = demo.browser()
    begun = browser.post("/qrlogin/begin", {}).json
    path = f"/qrlogin/{begun['login_id']}?after={begun['version']}&wait=25"
    polls = {_in_thread(lambda: browser.get(path).status) for _ in range(2)}
    over, parked = wait(polls, PATIENCE_S, FIRST_COMPLETED)
    assert [each.result() for each in over] == [409]
    return parked.pop()


def _in_thread(work: Callable[[], int]) -> "Future[int]":
    """As an executor would, but in a thread that nobody has to wait for."""
    future: Future[int] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
