"""The least that speaks HTTP: it costs the generator little, so a window is the server's work."""

import json
import re
import socket
from dataclasses import dataclass
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_COOKIE = re.compile(rb"\r\nset-cookie: *([^=]+=[^;\r]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    @property
    def cookies(self) -> str:
        return "; ".join(each.decode() for each in _COOKIE.findall(self.head))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str, path: str, headers: str = "", body: str = "", kind: str = "application/json"
) -> bytes:
    """The bytes of a request. `headers` are lines, each with its line end."""
    sent = f"{method} {path} HTTP/1.1\r\nHost: {{host}}\r\n{headers}".encode()
    if method == "POST":
        sent += f"Content-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n".encode()
    return sent + b"\r\n" + body.encode()


def form(path: str, body: str, headers: str = "") -> bytes:
    return request("POST", path, headers, body, "application/x-www-form-urlencoded")


class Line:
    """A kept connection to one server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._host = f"127.0.0.1:{port}".encode()
        self._socket: socket.socket | None = None

    def send(self, sent: bytes) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(sent.replace(b"{host}", self._host, 1))

    def ask(self, sent: bytes) -> Answer:
        """Sends a request and reads its answer, over a new connection if the old one was closed."""
        for _ in range(2):
            try:
                self.send(sent)
                return self.read()
            except (ConnectionError, BrokenPipeError):
                self.close()
        raise ConnectionError(f"port {self._port} does not answer")

    def read(self) -> Answer:
        assert self._socket is not None
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head, body = data[: end + 2], data[end + 4 :]
        if found := _LENGTH.search(head):
            while len(body) < int(found[1]):
                body += self._more()
        elif b"chunked" in head.lower():
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more()
            body = _joined(body)
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return Answer(int(head[9:12]), head, body)

    def _more(self) -> bytes:
        assert self._socket is not None
        if data := self._socket.recv(65536):
            return data
        raise ConnectionResetError

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _joined(chunks: bytes) -> bytes:
    body = b""
    while True:
        size, _, rest = chunks.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            return body
        body, chunks = body + rest[:length], rest[length + 2 :]
