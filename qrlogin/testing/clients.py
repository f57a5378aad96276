"""One way to ask every test client, and the answer that it gives.

The frameworks' clients differ in how they take JSON and headers, and in how they return them. None
of them is imported here: a client is known by what it can do.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from qrlogin.aio import AsyncQRLogin
from qrlogin.login import QRLogin
from qrlogin.wire.dialect import Person
from qrlogin.wire.endpoint import AsyncEndpoint, Endpoint
from qrlogin.wire.message import Request, Response

_JSON: Final = "application/json"
#: Cookies of a site with https are sent over https only. No connection is made.
_ORIGIN: Final = "https://localhost"
#: What a browser sends with a request of the site's own page.
_SAME_ORIGIN: Final = {"Sec-Fetch-Site": "same-origin"}


class Refused(AssertionError):
    """The application has refused a request. Its text has the status and the error's wire code.

    A test that expects it writes `with pytest.raises(Refused, match="expired")`.

    :param asked: the method and the path of the request.
    :param status: the HTTP status code.
    :param error: the wire code; "" if the answer has none.
    """

    def __init__(self, asked: str, status: int, error: str) -> None:
        super().__init__(f"{asked} is answered {status} {error}".rstrip())
        self.status = status
        """The HTTP status code."""
        self.error = error
        """The wire code, such as `expired`; "" if the answer has none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to the application."""

    method: str
    path: str
    """The whole path, with the mount and the query."""
    body: Mapping[str, str] | None = field(default=None, repr=False)
    """The JSON object of a POST."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The body as JSON."""
        return json.dumps(self.body or {})


Sender = Callable[[Asked], Any]
"""Sends a request, and returns the answer of the client, or an awaitable of it."""


def sender_of(client: Any, person: Person | None = None) -> Sender:
    """How this client sends a request. Raises `TypeError` for what is no client.

    :param client: a test client, or `QRLogin` or `AsyncQRLogin`.
    :param person: who is signed in on the phone, if `client` is one of the latter two.
    """
    if isinstance(client, QRLogin | AsyncQRLogin):
        return _InProcess(client, person)
    if person is not None:
        raise TypeError("a person is for QRLogin alone: your application knows who is signed in")
    if hasattr(client, "session_transaction"):  # Flask
        return lambda asked: client.open(
            asked.path,
            base_url=_ORIGIN,
            method=asked.method,
            headers={**_SAME_ORIGIN, **asked.headers},
            **({} if asked.method == "GET" else {"data": asked.text, "content_type": _JSON}),
        )
    if hasattr(client, "force_login"):  # Django
        return lambda asked: client.generic(
            asked.method,
            asked.path,
            "" if asked.method == "GET" else asked.text,
            _JSON,
            secure=True,
            headers={**_SAME_ORIGIN, **asked.headers},
        )
    if hasattr(client, "request") and hasattr(client, "base_url"):  # httpx, Starlette, FastAPI
        origin = str(client.base_url).rstrip("/").replace("http://", "https://", 1)
        return lambda asked: client.request(
            asked.method,
            origin + asked.path,
            headers={**_SAME_ORIGIN, "Content-Type": _JSON, **asked.headers},
            **({} if asked.method == "GET" else {"content": asked.text}),
        )
    raise TypeError(
        "give a test client of Flask, Django, Starlette, FastAPI or httpx, or a QRLogin, not "
        f"{type(client).__name__}"
    )


def read(asked: Asked, answer: Any) -> dict[str, Any]:
    """The JSON of an answer. Raises `Refused` for one of 400 and above.

    :param asked: the request.
    :param answer: what the client returned.
    """
    if isinstance(answer, Response):
        status, body = answer.status, answer.body
    else:
        status = answer.status_code
        body = answer.data if hasattr(answer, "data") else answer.content
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    if not isinstance(found, dict):
        found = {}
    if status >= 400:
        raise Refused(f"{asked.method} {asked.path}", status, str(found.get("error", "")))
    return found


class _InProcess:
    """An application that is nothing but a mount, without HTTP."""

    def __init__(self, qr: QRLogin | AsyncQRLogin, person: Person | None) -> None:
        self._endpoint = (
            Endpoint(qr, max_waiting=0)
            if isinstance(qr, QRLogin)
            else AsyncEndpoint(qr, max_waiting=0)
        )
        self._person = person
        self._cookies = dict[str, str]()

    def __call__(self, asked: Asked) -> Response | Awaitable[Response]:
        path, _, query = asked.path.partition("?")
        below = path.partition("/qrlogin/")[2]
        headers = {
            **{name.lower(): value for name, value in _SAME_ORIGIN.items()},
            "content-type": _JSON,
            "cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
        }
        request = Request(
            asked.method,
            below.removeprefix("phone/"),
            query,
            tuple(headers.items()),
            b"" if asked.method == "GET" else asked.text.encode(),
        )
        is_phone, endpoint = below.startswith("phone/"), self._endpoint
        if isinstance(endpoint, AsyncEndpoint):
            return self._kept_later(endpoint, request, is_phone=is_phone)
        return self._kept(
            endpoint.phone(request, self._person) if is_phone else endpoint.browser(request)
        )

    async def _kept_later(
        self, endpoint: AsyncEndpoint, request: Request, *, is_phone: bool
    ) -> Response:
        return self._kept(
            await (endpoint.phone(request, self._person) if is_phone else endpoint.browser(request))
        )

    def _kept(self, answer: Response) -> Response:
        self._cookies.update((cookie.key, cookie.value) for cookie in answer.cookies)
        return answer
