"""What an attacker changes in the requests of the functions."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from qrlogin.audit.check import Scene, attempt
from qrlogin.audit.devices import Sent, Tamper
from qrlogin.audit.target import Login

#: The site of an attacker.
ELSEWHERE: Final = "https://attacker.example"
#: Where a field is added.
Place = Literal["query", "body"]


def chain(*tampers: Tamper) -> Tamper:
    """All of these changes, one after the other."""

    def change(sent: Sent) -> Sent:
        for each in tampers:
            sent = each(sent)
        return sent

    return change


def with_fields(fields: Mapping[str, str], place: Place) -> Tamper:
    """Adds these fields to the query, or to the body if it is a form or a JSON object."""

    def change(sent: Sent) -> Sent:
        if place == "query":
            parts = urlsplit(sent.url)
            query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *fields.items()])
            return replace(sent, url=urlunsplit(parts._replace(query=query)))
        kind = sent.headers.get("content-type", "")
        if kind == "application/json":
            read = json.loads(sent.body)
            if isinstance(read, dict):
                return replace(sent, body=json.dumps({**read, **fields}).encode())
        elif kind == "application/x-www-form-urlencoded" or sent.method == "POST":
            form = [*parse_qsl(sent.body.decode(), keep_blank_values=True), *fields.items()]
            headers = {**sent.headers, "content-type": "application/x-www-form-urlencoded"}
            return replace(sent, headers=headers, body=urlencode(form).encode())
        return sent

    return change


def begun_with(scene: Scene, names: Sequence[str], value: str) -> Iterator[tuple[Place, Login]]:
    """Logins that an attacker's browsers begin with this value in fields of these names.

    All names at once; or one by one, if the server refuses a request with fields that it does not
    know. Each comes with the place of the fields.

    :param scene: the people of the check
    :param names: the names of the fields
    :param value: what the attacker sends in each of them
    """
    places: tuple[Place, ...] = ("query", "body")
    for place in places:
        for fields in (dict.fromkeys(names, value), *({name: value} for name in names)):
            browser = scene.browser("an attacker's browser")
            browser.tamper = with_fields(fields, place)
            login = attempt(partial(scene.begin, browser))
            if login is not None:
                yield place, login
                if len(fields) > 1:
                    break


def with_header(name: str, value: str) -> Tamper:
    """Sets a header, whose name is in lower case."""
    return lambda sent: replace(sent, headers={**sent.headers, name: value})


def with_other_text(old: str, new: str) -> Tamper:
    """Replaces a text in the address and in the body, and not in headers."""

    def change(sent: Sent) -> Sent:
        parts = urlsplit(sent.url)
        path = parts.path.replace(quote(old), quote(new))
        query = parts.query.replace(quote(old), quote(new))
        body = sent.body.replace(old.encode(), new.encode())
        return replace(sent, url=urlunsplit(parts._replace(path=path, query=query)), body=body)

    return change


def without_credentials(sent: Sent) -> Sent:
    """Sends no cookie and no Authorization."""
    kept = {
        name: value
        for name, value in sent.headers.items()
        if name not in ("cookie", "authorization")
    }
    return replace(sent, headers=kept)


def with_spoiled_credentials(change_letter: Callable[[str], str]) -> Tamper:
    """Changes the letters of each cookie and of Authorization, which keep their length."""

    def change(sent: Sent) -> Sent:
        headers = dict(sent.headers)
        if "authorization" in headers:
            kind, _, value = headers["authorization"].rpartition(" ")
            headers["authorization"] = f"{kind} {change_letter(value)}".strip()
        if "cookie" in headers:
            pairs = (pair.partition("=") for pair in headers["cookie"].split("; "))
            headers["cookie"] = "; ".join(
                f"{name}={change_letter(value)}" for name, _, value in pairs
            )
        return replace(sent, headers=headers)

    return change


def as_get(sent: Sent) -> Sent:
    """The same fields in a GET, as a link or an image sends it."""
    if sent.headers.get("content-type") == "application/json":
        read = json.loads(sent.body)
        fields = [(name, str(value)) for name, value in read.items()]
    else:
        fields = parse_qsl(sent.body.decode("utf-8", "replace"))
    parts = urlsplit(sent.url)
    query = urlencode([*parse_qsl(parts.query), *fields])
    headers = {
        name: value
        for name, value in sent.headers.items()
        if name not in ("content-type", "origin")
    }
    return Sent("GET", urlunsplit(parts._replace(query=query)), headers)


def from_elsewhere(sent: Sent) -> Sent:
    """The same request from a page of another site: without its headers and its CSRF token."""
    dropped = ("x-", "referer")
    headers = {
        name: value
        for name, value in sent.headers.items()
        if not name.startswith(dropped) and "csrf" not in name
    }
    headers |= {
        "origin": ELSEWHERE,
        "referer": f"{ELSEWHERE}/",
        "sec-fetch-site": "cross-site",
    }
    body = sent.body
    if headers.get("content-type") == "application/x-www-form-urlencoded":
        pairs = parse_qsl(body.decode(), keep_blank_values=True)
        body = urlencode([pair for pair in pairs if not _is_token(pair[0])]).encode()
    elif headers.get("content-type") == "application/json":
        # A page of another site can send JSON as plain text without asking for permission.
        headers["content-type"] = "text/plain"
        read = json.loads(body)
        if isinstance(read, dict):
            kept = {name: value for name, value in read.items() if not _is_token(name)}
            body = json.dumps(kept).encode()
    return replace(sent, headers=headers, body=body)


def _is_token(name: str) -> bool:
    return any(word in name.lower() for word in ("csrf", "xsrf", "authenticity"))
