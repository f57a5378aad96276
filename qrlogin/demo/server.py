"""The demo's HTTP server: the standard library's, one thread for a connection, HTTP/1.1, one WSGI application.

It is not for the internet. What it does carefully: it refuses requests whose length can be read in two ways, it writes no
code into its log, and it ends at once, also under browsers that wait. It knows no path and no login.
"""

import re
import socketserver
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from os import getpid
from os import name as os_name
from typing import Any, Final, Self
from urllib.parse import unquote

from qrlogin.wire.message import BODY_CAP, StartResponse

Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
WORD: Final = 19  # letters; a longer part of a path may be somebody's code
IDLE_S: Final = 60  # an open connection without a request
LAST_ANSWERS_S: Final = 5.0  # for those that are being given; usually it takes none
SWALLOWED: Final = 1 << 20  # bytes of a body that is too long


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens from the start. `port` 0 takes any free one. Raises OSError if the port is taken."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os_name == "posix"  # elsewhere it lets two servers share a port
    request_queue_size = 128

    def __init__(self, host: str, port: int, *, log: bool = False) -> None:
        self.application: Application | None = None
        self.log = log
        self._busy, self._idle = 0, threading.Condition()
        super().__init__((host, port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self, application: Application) -> None:
        """Answers from now on, in threads of its own."""
        self.application = application
        threading.Thread(
            target=self.serve_forever, args=(0.1,), daemon=True, name="demo-server"
        ).start()

    def stop(self, wake: Callable[[], None]) -> None:
        """Takes no more connections, lets `wake` end the waits, and gives the last answers a second to get out."""
        self.shutdown()
        wake()
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, LAST_ANSWERS_S)
        self.server_close()

    def __enter__(self) -> Self:
        return self

    def began(self) -> None:
        with self._idle:
            self._busy += 1

    def ended(self) -> None:
        with self._idle:
            self._busy -= 1
            self._idle.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a browser that left is nobody's fault
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "qrlogin-demo", ""
    timeout = IDLE_S
    server: Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith(
            "do_"
        ):  # every method reaches the application, which says what it allows
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        self.server.began()
        try:
            body = self._body()
            if body is not None:
                self._run(body)
        finally:
            self.server.ended()

    def _body(self) -> bytes | None:
        """At most one byte beyond the cap; a connection with more to come is not used again."""
        lengths = self.headers.get_all("Content-Length", [])
        if (
            self.headers.get("Transfer-Encoding")
            or len(lengths) > 1
            or not all(re.fullmatch("[0-9]{1,15}", one) for one in lengths)
        ):
            self.close_connection = True
            self.send_error(400, "say the length of the body, once")
            return None
        length = int(lengths[0]) if lengths else 0
        body = self.rfile.read(min(length, BODY_CAP + 1))
        if length > BODY_CAP:
            self.close_connection = True
            self.rfile.read(
                min(length - len(body), SWALLOWED)
            )  # closing over unread bytes would cut the answer off
        return body

    def _run(self, body: bytes) -> None:
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        try:
            if self.server.application is None:
                raise RuntimeError("the server was not started")
            content = self.server.application(self._environ(body), lambda *head: begun.append(head))
            [(status, headers)] = begun
        except Exception:
            traceback.print_exc()
            self.close_connection = True
            status, headers, content = "500 Internal Server Error", [("Content-Length", "0")], ()
        try:
            self._send(status, headers, content)
        finally:
            if close := getattr(content, "close", None):
                close()

    def _send(self, status: str, headers: list[tuple[str, str]], content: Iterable[bytes]) -> None:
        """What has a length goes out whole; what has none, part by part as it comes, in chunks (RFC 9112 section 7.1)."""
        code, _, phrase = status.partition(" ")
        counted = int(code) in (204, 304) or any(
            key.lower() == "content-length" for key, _ in headers
        )
        chunked = not counted and self.request_version == "HTTP/1.1"
        self.close_connection |= (
            not counted and not chunked
        )  # the end of the connection is the end of what was sent
        self.send_response(int(code), phrase)
        for key, value in headers:
            self.send_header(key, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        for part in content:
            if part:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            "qrlogin.socket": self.connection,  # so that a wait sees that its browser left
        }
        keys = {
            key.lower() for key in self.headers if "_" not in key
        }  # X_Y would pass itself off as X-Y
        for key in keys - {"content-type", "content-length"}:
            joint = "; " if key == "cookie" else ","
            environ["HTTP_" + key.upper().replace("-", "_")] = joint.join(
                self.headers.get_all(key, [])
            )
        return environ

    def end_headers(self) -> None:
        self.send_header(
            "Server-Pid", str(getpid())
        )  # of several demos over one store, the one that answered
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing of http.server's own: it would print whole paths."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if self.server.log:
            sys.stderr.write(
                f"{cut(self.command)} {cut(self.path)} {code}\n"
            )  # in one piece: threads write here


def cut(path: str) -> str:
    """A path for the log: without its query, and with … in place of a typed code and of all that is too long for a word."""
    parts = re.sub(r"^/qr/.*", "/qr/…", path.partition("?")[0]).split("/")
    return "/".join(
        part if len(part) <= WORD and part.isascii() and part.isprintable() else "…"
        for part in parts
    )
