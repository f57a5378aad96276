"""A small HTTP client for the demo's terminals: it sends JSON or a form, and reads JSON or text.

It knows nothing of logins and imports nothing of the package: the code that uses it could as well
run on another machine.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from http.cookiejar import CookieJar
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

TIMEOUT_S: Final = 40  # longer than the server holds a status request


class Unreachable(Exception):
    """No server answered, or the answer is not HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer of any status. It is true if the status is 2xx."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By name, in lower case."""

    @property
    def text(self) -> str:
        """The body as UTF-8; bytes that are not valid are replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object in the body; empty if the body is anything else."""
        try:
            read = json.loads(self.body)
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}

    @property
    def error(self) -> str:
        """The wire code of an error, such as `expired`; "" if there is no error."""
        return str(self.json.get("error", ""))

    def __bool__(self) -> bool:
        return 200 <= self.status < 300


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib would follow a redirect to another host, and send it the Authorization header."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class Client:
    """Talks to one origin, with a cookie jar of its own. Its methods raise `Unreachable`.

    :param origin: scheme, host and port of the server. Raises `Unreachable` if it is not http(s)
    :param agent: the User-Agent header
    :param bearer: a bearer token for the Authorization header; "" to send none
    """

    def __init__(self, origin: str, *, agent: str, bearer: str = "") -> None:
        if not origin.startswith(("http://", "https://")):
            raise Unreachable("an address starts with http:// or https://")
        self.origin: str = origin.rstrip("/")
        self.bearer: str = bearer
        self._agent = agent
        self._jar = CookieJar()
        handlers: list[urllib.request.BaseHandler] = [
            _NoRedirects(),
            urllib.request.HTTPCookieProcessor(self._jar),
        ]
        if (urlsplit(origin).hostname or "") in ("127.0.0.1", "localhost", "::1"):
            handlers.append(urllib.request.ProxyHandler({}))  # a proxy cannot reach this machine
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str) -> Answer:
        return self._ask(self._request(path))

    def post(self, path: str, body: dict[str, str]) -> Answer:
        """POST a JSON object."""
        headers = {"Content-Type": "application/json"}
        return self._ask(self._request(path, json.dumps(body).encode(), headers))

    def form(self, path: str, fields: dict[str, str]) -> Answer:
        """POST a form."""
        return self._ask(self._request(path, urlencode(fields).encode(), {}))

    def cookie(self, name: str) -> str:
        """The value of this cookie in the jar; "" if the jar does not have it."""
        return next((cookie.value or "" for cookie in self._jar if cookie.name == name), "")

    def _request(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> urllib.request.Request:
        # S310: `__init__` checked that the scheme is http or https.
        return urllib.request.Request(self.origin + path, body, dict(headers or {}))  # noqa: S310

    def _ask(self, request: urllib.request.Request) -> Answer:
        request.add_header("User-Agent", self._agent)
        if self.bearer:
            request.add_header("Authorization", f"Bearer {self.bearer}")
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return Answer(answer.status, answer.read(), _lower(answer.headers))
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.read(), _lower(refused.headers))
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"{self.origin} does not answer: {reason}") from None


def _lower(headers: Message) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}
