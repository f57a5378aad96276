"""A TCP proxy on loopback that cuts each event stream off after one event.

It cuts every second stream within its first event, which the browser must then drop.
"""

import contextlib
import re
import socket
import threading
from typing import Self

from tests.servers import LOOPBACK


class Cutting:
    """`target` is the server's port; `streams` are the heads of requests for events, in order."""

    def __init__(self, *, cuts: bool = True) -> None:
        self.target, self.cuts = 0, cuts
        self.streams: list[str] = []
        self.cut = 0
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self, target: int) -> None:
        self.target = target
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
                server = socket.create_connection((LOOPBACK, self.target))
            except OSError:
                return
            self._open += [client, server]
            sent: list[bytes] = []
            threading.Thread(
                target=self._upstream, args=(client, server, sent), daemon=True
            ).start()
            threading.Thread(
                target=self._downstream, args=(server, client, sent), daemon=True
            ).start()

    def _upstream(self, client: socket.socket, server: socket.socket, sent: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while part := client.recv(65536):
                if re.match(rb"GET \S+/events", part):
                    self.streams.append(part.decode("latin-1"))
                sent[:] = [part]
                server.sendall(part)
            server.shutdown(socket.SHUT_WR)

    def _downstream(self, server: socket.socket, client: socket.socket, sent: list[bytes]) -> None:
        let_through, torn = b"", None
        with contextlib.suppress(OSError):
            while part := server.recv(65536):
                if self.cuts and re.match(rb"GET \S+/events", sent[0]):
                    let_through += part
                    end = _first_event_ends(let_through)
                    if end:
                        self.cut += 1
                        torn = self.cut % 2
                        whole = part[: len(part) - (len(let_through) - end)]
                        client.sendall(whole[:-9] if torn else whole)
                        break
                client.sendall(part)
        for each in (client, server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _first_event_ends(sent: bytes) -> int:
    """The position after the first event with data; 0 if it is not complete."""
    found = re.search(rb"\ndata: [^\n]*\n\n", sent)
    return found.end() if found else 0
