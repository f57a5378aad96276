"""The demo's HTTP server: waitress. It logs no code, and stops at once, also while browsers wait.

It serves one WSGI application, and knows nothing of paths and logins.
"""

import logging
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from os import getpid
from typing import Any, Final, Self

try:
    from waitress import wasyncore
    from waitress.server import create_server
except ImportError as _missing:
    raise ImportError("the demo needs waitress: pip install 'qrlogin[demo]'") from _missing

from qrlogin.wire.message import StartResponse

Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
MAX_LOGGED: Final = 19  # characters of one part of a path; a longer part may be a code
IDLE_TIMEOUT_S: Final = 60  # of an open connection without a request
DRAIN_TIMEOUT_S: Final = 5.0  # for requests that are being answered; usually it takes no time
CONNECTIONS: Final = 1000  # a browser opens up to six, and keeps them
THREADS: Final = 160  # a held request has one: up to 64 of the pages, and 64 of the dialects
MAX_BODY: Final = 1 << 20  # bytes; an endpoint refuses far shorter ones, and says so
MAX_ANSWER: Final = 1 << 26  # bytes; waitress would put more into a file, and may not close it

# At a stop, it warns of each browser that asks once more.
logging.getLogger("waitress").setLevel(logging.ERROR)


class Server:
    """Listens as soon as it is made. Raises OSError if the port is in use.

    :param host: the address to listen on
    :param port: the port; 0 for any free one
    :param log: write a line to stderr for each request
    """

    def __init__(self, host: str, port: int, *, log: bool = False) -> None:
        self._log = log
        self._socket = socket.create_server((host, port))
        self.port: Final = int(self._socket.getsockname()[1])
        self._open: dict[int, Any] = {}  # what waitress listens to, by file descriptor

    def start(self, application: Application) -> None:
        """Answers requests from now on, in threads of its own."""
        self._waitress = create_server(
            self._around(application),
            map=self._open,
            sockets=[self._socket],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            asyncore_use_poll=True,  # select() takes no file descriptor above 1023
            ident="qrlogin-demo",
            channel_timeout=IDLE_TIMEOUT_S,
            channel_request_lookahead=1,  # without it, a disconnect ends no wait
            max_request_body_size=MAX_BODY,
            outbuf_overflow=MAX_ANSWER,
            log_socket_errors=False,  # browsers disconnect
        )
        self._loop = threading.Thread(target=self._waitress.run, daemon=True, name="demo-server")
        self._loop.start()

    def stop(self, end_waits: Callable[[], None]) -> None:
        """Ends the waits, waits up to 5 s for running requests, and closes all connections.

        :param end_waits: ends every held request, such as `QRLogin.close`
        """
        end_waits()
        self._waitress.task_dispatcher.shutdown(timeout=DRAIN_TIMEOUT_S)
        self._waitress.trigger.pull_trigger(lambda: wasyncore.close_all(self._open))
        self._loop.join(DRAIN_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _around(self, application: Application) -> Application:
        def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]]) -> object:
                if self._log:
                    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
                    # One call for the whole line: other threads write here, too.
                    sys.stderr.write(f"{redacted(method)} {redacted(path)} {status[:3]}\n")
                # Says which of several demos with one store answered.
                return start_response(status, [*headers, ("Server-Pid", str(getpid()))])

            return application(environ, start)

        return answer


def redacted(path: str) -> str:
    """A path for the log, with … in place of each part that may be a code."""
    parts = re.sub(r"^/qr/.*", "/qr/…", path).split("/")
    return "/".join(
        part if len(part) <= MAX_LOGGED and part.isascii() and part.isprintable() else "…"
        for part in parts
    )
