"""A site, and a neighbour beside it: two servers on ports of their own."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from qrlogin import QRLogin
from qrlogin.demo.server import Server
from qrlogin.wire.message import StartResponse
from tests.servers import LOOPBACK


class TwoServers:
    """Two servers within a `with` block. A subclass sets `qr` and says what each answers."""

    qr: QRLogin

    def __init__(self) -> None:
        self.server, self.neighbour = Server(LOOPBACK, 0), Server(LOOPBACK, 0)

    def __enter__(self) -> Self:
        self.server.start(self.answer)
        self.neighbour.start(self.answer_beside)
        return self

    def __exit__(self, *_: object) -> None:
        self.neighbour.stop(lambda: None)
        self.server.stop(self.qr.close)

    def answer(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """What the site answers."""
        raise NotImplementedError

    def answer_beside(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """What the neighbour answers."""
        raise NotImplementedError
