"""A small HTTP client for the demo's terminals: JSON or a form in, JSON or text out, by urllib alone.

It knows no login and nothing of the rest of the package: what uses it could as well be another program on another machine.
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

PATIENCE_S: Final = 40  # longer than the server holds a status


class Unreachable(Exception):
    """Nobody answered, or what answered does not speak HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, whatever its status."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # by their names in lower case

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> dict[str, Any]:
        """The body's JSON object; empty if it is none."""
        try:
            read = json.loads(self.body)
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}

    @property
    def error(self) -> str:
        """The stable code of a refusal, such as `expired`."""
        return str(self.json.get("error", ""))

    def __bool__(self) -> bool:
        return 200 <= self.status < 300


class _StayHere(urllib.request.HTTPRedirectHandler):
    """urllib would follow a redirect to another host and take the Authorization header along."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class Client:
    """One side of a conversation: an origin, a cookie jar and perhaps a credential, shared with nobody."""

    def __init__(self, origin: str, *, agent: str, bearer: str = "") -> None:
        if not origin.startswith(("http://", "https://")):
            raise Unreachable("an address begins with http:// or https://")
        self.origin, self.bearer, self._agent = origin.rstrip("/"), bearer, agent
        self._jar = CookieJar()
        handlers: list[urllib.request.BaseHandler] = [
            _StayHere(),
            urllib.request.HTTPCookieProcessor(self._jar),
        ]
        if (urlsplit(origin).hostname or "") in ("127.0.0.1", "localhost", "::1"):
            handlers.append(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str) -> Answer:
        return self._ask(urllib.request.Request(self.origin + path))  # noqa: S310 - http or https, see above

    def post(self, path: str, body: dict[str, str]) -> Answer:
        headers = {"Content-Type": "application/json"}
        sent = json.dumps(body).encode()
        return self._ask(urllib.request.Request(self.origin + path, sent, headers))  # noqa: S310 - as above

    def form(self, path: str, fields: dict[str, str]) -> Answer:
        return self._ask(urllib.request.Request(self.origin + path, urlencode(fields).encode()))  # noqa: S310 - as above

    def cookie(self, name: str) -> str:
        """The value of a cookie that it holds; "" if it has none of that name."""
        return next((cookie.value or "" for cookie in self._jar if cookie.name == name), "")

    def _ask(self, request: urllib.request.Request) -> Answer:
        request.add_header("User-Agent", self._agent)
        if self.bearer:
            request.add_header("Authorization", f"Bearer {self.bearer}")
        try:
            with self._opener.open(request, timeout=PATIENCE_S) as answer:
                return Answer(answer.status, answer.read(), _lower(answer.headers))
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.read(), _lower(refused.headers))
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"{self.origin} does not answer: {reason}") from None


def _lower(headers: Message) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}
