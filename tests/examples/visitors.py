"""Browsers and phones over plain HTTP. Like the elements, they read their settings from the page.

A `Visitor` has its own cookie jar and sends a browser's headers. How a user signs in on a phone,
and how to find out who is logged in, differs between applications: a `Manner` knows it for one.
"""

import html
import re
import secrets
from copy import copy
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from http.cookiejar import Cookie
from typing import Any, Protocol, Self

import httpx2

from tests.examples.variants import authorization

PASSWORD = "a long enough passphrase 7"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Tags(HTMLParser):
    """Every tag of a page, with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def first(self, tag: str) -> dict[str, str]:
        return next((attributes for name, attributes in self.found if name == tag), {})

    def hidden(self) -> dict[str, str]:
        return {
            one["name"]: one.get("value", "")
            for tag, one in self.found
            if tag == "input" and one.get("type") == "hidden"
        }


@dataclass
class Visitor:
    """One browser profile or one phone."""

    origin: str
    mount: str = "/qrlogin/"
    headers: dict[str, str] = field(default_factory=dict)
    csrf: dict[str, str] = field(default_factory=dict)
    """The header that the page's element sends with each POST."""
    language: str = "en"
    is_page: bool = True
    """Whether a page of the site sends its requests, and not an app."""

    def __post_init__(self) -> None:
        # Keep no connection: a server may close it in the moment in which the client reuses it.
        alone = httpx2.Limits(max_keepalive_connections=0)
        # Without `verify=False`, each client would load all certificates of the machine.
        base = {
            "User-Agent": AGENT,
            "Accept-Language": self.language,
            **(SAME_ORIGIN if self.is_page else {}),
            **self.headers,
        }
        self.http = httpx2.Client(
            base_url=self.origin,
            headers=base,
            timeout=60,
            trust_env=False,
            verify=False,
            limits=alone,
        )

    def page(self, path: str) -> Tags:
        """Open a page as a navigation, and remember the CSRF token in it."""
        seen = self.http.get(path, follow_redirects=True)
        assert seen.status_code == 200, (path, seen.status_code, seen.text[:300])
        tags = Tags(seen.text)
        element = tags.first("qr-login") or tags.first("qr-approve")
        if element.get("csrf-header"):
            self.csrf = {element["csrf-header"]: element["csrf-token"]}
        return tags

    def send_form(self, path: str, **fields: str) -> httpx2.Response:
        hidden = self.page(path).hidden()
        return self.http.post(
            path,
            data={**hidden, **fields},
            headers={"Origin": self.origin, "Referer": f"{self.origin}{path}"},
        )

    def get(self, path: str) -> httpx2.Response:
        return self.http.get(self.mount + path)

    def post(self, path: str, **fields: str) -> httpx2.Response:
        origin = {"Origin": self.origin} if self.is_page else {}
        return self.http.post(self.mount + path, json=fields, headers={**origin, **self.csrf})

    def again(self) -> "Visitor":
        """The same browser profile with a client of its own."""
        visitor = replace(self)
        visitor.http.cookies.update(self.http.cookies)
        return visitor

    def jar(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self.http.cookies.jar}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()


class Manner(Protocol):
    """How to use one application."""

    mount: str

    def phone(self, origin: str, name: str) -> Visitor: ...
    def app(self, origin: str, name: str) -> Visitor: ...
    def browser(self, origin: str) -> Visitor: ...
    def who(self, visitor: Visitor) -> str: ...
    def log_out(self, visitor: Visitor) -> None: ...


class OfExamples:
    """The three examples, which have the same pages.

    :param shared: Tests share the example, so each account gets a name of its own.
    """

    mount = "/qrlogin/"

    def __init__(self, *, shared: bool = True) -> None:
        # Tests share an example, so each account needs a name of its own.
        self._suffix = f"-{secrets.token_hex(4)}" if shared else ""
        self._signed_in: dict[tuple[str, str], list[Cookie]] = {}

    def named(self, name: str) -> str:
        return name + self._suffix

    def phone(self, origin: str, name: str) -> Visitor:
        """A phone with an account of this name. The next one has its session.

        A password costs the server up to half a second, so it is sent only if there is no session.
        """
        visitor = Visitor(origin)
        for cookie in self._signed_in.get((origin, name), ()):
            visitor.http.cookies.jar.set_cookie(copy(cookie))
        if not visitor.jar() or self.who(visitor) != name:
            self._sign_in(visitor, name)
            self._signed_in[origin, name] = list(visitor.http.cookies.jar)
        visitor.page("/qr")
        return visitor

    def _sign_in(self, visitor: Visitor, name: str) -> None:
        if visitor.send_form(
            "/signup", name=self.named(name), password=PASSWORD
        ).status_code not in (302, 303):
            answer = visitor.send_form("/login", name=self.named(name), password=PASSWORD)
            assert answer.status_code in (302, 303), answer.text

    def app(self, origin: str, name: str) -> Visitor:
        """An app on a phone with a token, which the examples accept in variants/ only."""
        token = {"Authorization": authorization(self.named(name))}
        return Visitor(origin, headers=token, is_page=False)

    def browser(self, origin: str) -> Visitor:
        visitor = Visitor(origin)
        visitor.page("/login")
        return visitor

    def who(self, visitor: Visitor) -> str:
        seen = visitor.http.get("/")
        if seen.status_code in (302, 303):
            assert seen.headers["location"].endswith(("/login", "/login?next=/", "/login?next=%2F"))
            return ""
        assert seen.status_code == 200
        page = html.unescape(seen.text)
        found = re.search(f"\u2068([^\u2068\u2069]*){self._suffix}\u2069", page)
        assert found, seen.text
        return found[1]

    def log_out(self, visitor: Visitor) -> None:
        hidden = visitor.page("/").hidden()
        answer = visitor.http.post(
            "/logout",
            data=hidden,
            headers={"Origin": visitor.origin, "Referer": f"{visitor.origin}/"},
        )
        assert answer.status_code in (302, 303), answer.text


class OfTheDemo:
    """The demo, which has no passwords: it gives a phone to any name."""

    mount = "/qrlogin/"

    def phone(self, origin: str, name: str) -> Visitor:
        with Visitor(origin) as visitor:
            answer: dict[str, Any] = visitor.http.post(
                "/demo/phone", json={"name": name}, headers={"Origin": origin}
            ).json()
        return Visitor(origin, headers={"Authorization": f"Bearer {answer['token']}"})

    def app(self, origin: str, name: str) -> Visitor:
        return replace(self.phone(origin, name), is_page=False)

    def browser(self, origin: str) -> Visitor:
        return Visitor(origin)

    def who(self, visitor: Visitor) -> str:
        seen = visitor.http.get("/demo/me")
        return str(seen.json()["name"]).lower() if seen.status_code == 200 else ""

    def log_out(self, visitor: Visitor) -> None:
        assert visitor.http.post("/logout", headers={"Origin": visitor.origin}).status_code == 303


class OfBareApplications:
    """The applications in tests/contrib/mounted.py, whose phones have a token each."""

    mount = "/qr/"

    def phone(self, origin: str, name: str) -> Visitor:
        return Visitor(origin, self.mount, headers={"Authorization": authorization(name)})

    def app(self, origin: str, name: str) -> Visitor:
        return replace(self.phone(origin, name), is_page=False)

    def browser(self, origin: str) -> Visitor:
        return Visitor(origin, self.mount)

    def who(self, visitor: Visitor) -> str:
        return str(visitor.http.get("/me").json()["subject"] or "")

    def log_out(self, visitor: Visitor) -> None:
        visitor.http.cookies.clear()  # these applications have no logout
