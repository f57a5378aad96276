"""The demo's HTTP/1.1 server: the standard library's, with a thread for each connection.

It serves one WSGI application, and is not for the internet. It does three things with care: it
rejects a request that a proxy could read in another way, it logs no code, and it stops at once,
also while browsers wait. It knows nothing of paths and logins.
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
MAX_LOGGED: Final = 19  # characters of one part of a path; a longer part may be a code
IDLE_TIMEOUT_S: Final = 60  # of an open connection without a request
DRAIN_TIMEOUT_S: Final = 5.0  # for requests that are being answered; usually it takes no time
MAX_DISCARDED: Final = 1 << 20  # bytes that are read of a body that is too long
MAX_HEAD: Final = 1 << 16  # bytes of all header lines together

#: RFC 9112: one blank between the parts of the first line, a name right before each colon, CRLF at
#: each end of a line, and no control character but a tab. The standard library is more lenient.
_REQUEST_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~\x80-\xff]+ HTTP/1\.[01]\r\n")
_HEADER_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n", re.DOTALL)
_NOT_ALONE: Final = ("content-length", "transfer-encoding", "host")


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens as soon as it is made. Raises OSError if the port is in use.

    :param host: the address to listen on
    :param port: the port; 0 for any free one
    :param log: write a line to stderr for each request
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address: bool = os_name == "posix"  # on Windows it lets two servers share a port
    request_queue_size = 128

    def __init__(self, host: str, port: int, *, log: bool = False) -> None:
        self.application: Application | None = None
        self.log = log
        self._running, self._changed = 0, threading.Condition()
        super().__init__((host, port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self, application: Application) -> None:
        """Answers requests from now on, in threads of its own."""
        self.application = application
        threading.Thread(
            target=self.serve_forever, args=(0.1,), daemon=True, name="demo-server"
        ).start()

    def stop(self, end_waits: Callable[[], None]) -> None:
        """Accepts no more connections, ends the waits, and waits up to 5 s for running requests.

        :param end_waits: ends every held request, such as `QRLogin.close`
        """
        self.shutdown()
        end_waits()
        with self._changed:
            self._changed.wait_for(lambda: not self._running, DRAIN_TIMEOUT_S)
        self.server_close()

    def __enter__(self) -> Self:
        return self

    def request_started(self) -> None:
        with self._changed:
            self._running += 1

    def request_ended(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # the browser disconnected
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "qrlogin-demo", ""
    timeout = IDLE_TIMEOUT_S
    server: Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # the application decides which methods it allows
            return self._answer
        raise AttributeError(name)

    def parse_request(self) -> bool:
        """Whether the request is one that every proxy reads alike. Sends the error if it is not.

        The standard library drops header lines that it does not understand, joins folded ones, and
        takes a bare CR or LF for the end of a line: behind a proxy that does not, a second request
        could hide in the first.
        """
        self.command, self.path, self.requestline = "-", "-", ""
        self.request_version, self.close_connection = "HTTP/1.1", True
        head = list[bytes]()
        size = 0
        line: bytes = self.raw_requestline  # type: ignore[assignment]  # typeshed has a function
        if not _REQUEST_LINE.fullmatch(line):
            self.send_error(400, "Bad request line")
            return False
        while (line := self.rfile.readline(MAX_HEAD + 1)) != b"\r\n":
            size += len(line)
            if size > MAX_HEAD or not _HEADER_LINE.fullmatch(line):
                self.send_error(400, "Bad header")
                return False
            head.append(line)
        names = [line.partition(b":")[0].decode().lower() for line in head]
        if any(names.count(name) > 1 for name in _NOT_ALONE):
            self.send_error(400, "A header is there twice")
            return False
        connection, self.rfile = self.rfile, BytesIO(b"".join(head) + b"\r\n")
        try:
            return super().parse_request()
        finally:
            self.rfile = connection

    def _answer(self) -> None:
        self.server.request_started()
        try:
            body = self._body()
            if body is not None:
                self._run(body)
        finally:
            self.server.request_ended()

    def _body(self) -> bytes | None:
        """The body, at most one byte beyond the cap; None if its length is ambiguous.

        A connection with more bytes to come is closed after the answer.
        """
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not all(
            re.fullmatch("[0-9]{1,15}", length) for length in lengths
        ):
            self.close_connection = True
            self.send_error(400, "a body needs one Content-Length")
            return None
        length = int(lengths[0]) if lengths else 0
        body = self.rfile.read(min(length, BODY_CAP + 1))
        if length > BODY_CAP:
            self.close_connection = True
            # Closing a connection with unread bytes would cut the answer off.
            self.rfile.read(min(length - len(body), MAX_DISCARDED))
        return body

    def _run(self, body: bytes) -> None:
        heads: list[tuple[str, list[tuple[str, str]]]] = []
        try:
            if self.server.application is None:
                raise RuntimeError("the server was not started")
            content = self.server.application(self._environ(body), lambda *head: heads.append(head))
            [(status, headers)] = heads
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
        """Sends a body without a Content-Length in chunks as it comes (RFC 9112 section 7.1)."""
        code, _, phrase = status.partition(" ")
        has_length = int(code) in (204, 304) or any(
            key.lower() == "content-length" for key, _ in headers
        )
        chunked = not has_length and self.request_version == "HTTP/1.1"
        # HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
        self.close_connection |= not has_length and not chunked
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
            "qrlogin.socket": self.connection,  # for the disconnect monitor
        }
        # In WSGI, X_Y would look like X-Y.
        keys = {key.lower() for key in self.headers if "_" not in key}
        for key in keys - {"content-type", "content-length"}:
            joint = "; " if key == "cookie" else ","
            environ["HTTP_" + key.upper().replace("-", "_")] = joint.join(
                self.headers.get_all(key, [])
            )
        return environ

    def end_headers(self) -> None:
        # Says which of several demos with one store answered.
        self.send_header("Server-Pid", str(getpid()))
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Replaces the log of http.server, which would write whole paths."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if self.server.log:
            # One call for the whole line: other threads write here, too.
            sys.stderr.write(f"{redacted(self.command)} {redacted(self.path)} {code}\n")


def redacted(path: str) -> str:
    """A path for the log: without its query, with … in place of each part that may be a code."""
    parts = re.sub(r"^/qr/.*", "/qr/…", path.partition("?")[0]).split("/")
    return "/".join(
        part if len(part) <= MAX_LOGGED and part.isascii() and part.isprintable() else "…"
        for part in parts
    )
