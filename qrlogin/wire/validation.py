"""Checks of a request before its content is used: where it comes from, and how it is spelled.

Nothing here looks at a login. Each function returns the value that it has checked, or raises a
`BadRequest` that says what to change and repeats nothing of what was sent.
"""

import json
import re
from base64 import b64decode
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from qrlogin.errors import BadRequest, Forbidden, TooLarge, UnsupportedMediaType
from qrlogin.wire.message import BODY_CAP, Request

# No request of any dialect comes near either.
_MAX_PARAMETERS: Final = 100
_MAX_CHARACTERS: Final = 8192
_OWN_PAGES: Final = ("same-origin", "none")
#: Labels at the end of a host name that two hosts of one site have in common.
_OF_ONE_SITE: Final = 2
#: Bearer (RFC 6750), DPoP (RFC 9449), and two that frameworks use for tokens of their own.
_TOKEN_SCHEMES: Final = ("bearer", "dpop", "token", "jwt")

#: A few parameters in which nothing is encoded.
_PLAIN_PAIRS: Final = re.compile(
    r"[a-z_]{1,20}=[A-Za-z0-9_-]{1,64}(?:&[a-z_]{1,20}=[A-Za-z0-9_-]{1,64}){0,7}"
)

T = TypeVar("T")


def one_header(request: Request, name: str) -> str | None:
    """The value of a header that may be sent at most once. None if it was not sent."""
    values = request.all(name)
    if len(values) > 1:
        raise BadRequest(f"send one {name} header, not several")
    return values[0] if values else None


class ForeignOrigin(Forbidden):
    """A page of another origin sent this request, and only pages of this origin may."""


def check_origin(request: Request, origin: str) -> bool:
    """Refuse requests of pages of other origins.

    `Origin` must be the configured one (RFC 6454); what `Host` claims never counts.
    `Sec-Fetch-Site` must be same-origin or none (W3C Fetch Metadata). Returns False if the request
    has neither header: a CLI, a phone app or an old browser sent it.
    """
    sent, site = one_header(request, "origin"), one_header(request, "sec-fetch-site")
    if sent is not None and sent != origin:
        raise ForeignOrigin(
            "Origin is not the site that this service is configured for: its log says more"
        )
    if site is not None and site not in _OWN_PAGES:
        raise Forbidden("a page of another site sent this request")
    return sent is not None or site is not None


def is_foreign(request: Request, origin: str) -> bool:
    """Whether `check_origin` would refuse this request: a page of another origin sent it."""
    try:
        check_origin(request, origin)
    except Forbidden:
        return True
    return False


def check_cookie_origin(request: Request, origin: str, *, by_token: bool) -> None:
    """Refuse a request for which a cookie may speak, although its own site did not send it.

    Browsers add cookies to requests that pages of other sites cause. They add no token to
    `Authorization`: a page has to do so itself, and a page of another origin has to ask with a
    preflight first. So a token is proof of intent, whatever `Origin` is. But a request may have a
    token *and* cookies, and only the application knows which of them it looked at. From a page of
    another origin, such a request is refused, unless the application says that the token named the
    person.

    :param request: a request that acts for the person whom the application found.
    :param origin: the application's own origin.
    :param by_token: whether the token alone named the person.
    """
    if not is_foreign(request, origin):
        if not check_origin(request, origin) and one_header(request, "authorization") is None:
            raise Forbidden("send Authorization, or Origin or Sec-Fetch-Site as browsers do")
        return
    if not has_token(request):
        check_origin(request, origin)  # raises
    if request.all("cookie") and not by_token:
        raise Forbidden(
            "send Authorization without cookies (credentials: 'omit'): from another origin, "
            "a cookie could speak for a person who did not ask for this"
        )


def has_token(request: Request) -> bool:
    """Whether `Authorization` holds a credential that no browser adds by itself.

    Browsers add Basic, Digest, Negotiate, NTLM and PrivateToken to requests of any page, as they
    add cookies. So only the schemes of tokens that a program adds itself are listed here. Two
    headers count as none: frameworks disagree on which of them speaks.
    """
    sent = request.all("authorization")
    scheme, _, credential = (sent[0] if len(sent) == 1 else "").partition(" ")
    return scheme.lower() in _TOKEN_SCHEMES and bool(credential.strip())


def check_same_site(request: Request) -> None:
    """Refuse what a page of another site made its browser send (W3C Fetch Metadata).

    This is for dialects whose GETs change something. Two headers that a server joined into one
    value are refused as well.
    """
    site = one_header(request, "sec-fetch-site")
    if site is not None and site not in (*_OWN_PAGES, "same-site"):
        raise Forbidden("a page of another site sent this request")


def check_page(request: Request, origin: str, pages: Collection[str]) -> None:
    """Refuse what a page made its browser send, unless it is a page of this origin or a listed one.

    This is for dialects whose GETs change something and whose answers other pages can run.

    A browser says with `Sec-Fetch-Site` whether its page is of this origin. If the page is of
    another origin of the same site, `Origin` or `Referer` names it. A browser that does not send
    `Sec-Fetch-Site` (it is from before 2023, or the site is on plain http) is refused if `Origin`
    or `Referer` names another host of this site, and accepted if neither names a host. Programs
    send no such header, or the `Referer` of the site for which they were written. That site counts
    as this one if both end in a public suffix of two labels (x.com.cn at shop.com.cn): no list of
    suffixes is read here. `pages` may list it.

    :param request: any request
    :param origin: the application's own origin
    :param pages: other origins of the same site whose pages may send it
    """
    check_same_site(request)
    site = one_header(request, "sec-fetch-site")
    if site in _OWN_PAGES:
        return
    page = _page_of(request)
    if page in pages:
        return
    if site is not None or (page is not None and page != origin and _of_one_site(page, origin)):
        raise Forbidden(
            "a page of another origin of this site sent this request: if the page is yours, add "
            "its origin to pages=(...)"
        )


def _page_of(request: Request) -> str | None:
    """The origin of the page that sent this request, as far as its headers say."""
    sent = one_header(request, "origin")
    if sent is None or sent == "null":
        sent = one_header(request, "referer") or ""
    found = re.fullmatch(r"(https?://[^/?#@\\]+)(?:[/?#].*)?", sent, re.IGNORECASE)
    if not found:
        return None
    page = found[1].lower()
    # Browsers leave the default port out, and some programs write it.
    return page.removesuffix(":443" if page.startswith("https:") else ":80")


def _of_one_site(page: str, origin: str) -> bool:
    """Whether two origins are of one site, or may be: their hosts end in the same two labels."""
    try:
        hosts = [urlsplit(each).hostname or "" for each in (page, origin)]
    except ValueError:  # a host that no page has
        return False
    one, other = (host.rstrip(".").split(".")[-_OF_ONE_SITE:] for host in hosts)
    return hosts[0] == hosts[1] or (one == other and not one[-1].isdigit())


def bearer(request: Request) -> str | None:
    """The credential of `Authorization: Bearer` (RFC 6750 section 2.1), if there is one."""
    scheme, _, credential = (one_header(request, "authorization") or "").partition(" ")
    return credential if scheme.lower() == "bearer" and credential else None


def basic(request: Request) -> tuple[str, str] | None:
    """The id and the secret of `Authorization: Basic`, if it was sent.

    Each of the two is form-encoded inside the header (RFC 6749 section 2.3.1).
    """
    scheme, _, credential = (one_header(request, "authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = b64decode(credential.strip(), validate=True).decode().partition(":")
        name, secret = unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:
        colon = ""
    if not colon:
        raise BadRequest("Authorization: Basic must hold base64 of id:secret")
    return name, secret


def no_body(request: Request) -> None:
    """Refuse a body."""
    if request.body:
        raise BadRequest("send no body with this method")


def within_cap(request: Request) -> None:
    """Refuse a body that is longer than the cap."""
    if len(request.body) > BODY_CAP:
        raise TooLarge(f"a body has at most {BODY_CAP} bytes")


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """The parameters of a well-formed query, in the order in which they were sent."""
    return _parse_pairs(request.query, strict=bool(request.query))


def json_pairs(request: Request) -> list[tuple[str, Any]]:
    """The members of the JSON object in the body, in the order in which they were sent.

    Refuses other encodings than UTF-8 and a byte order mark. Duplicate names (RFC 8259 section 4)
    and values of any kind are in the list: the caller has to refuse them.
    """
    _check_content_type(request, "application/json")
    within_cap(request)
    try:
        body = _read_json(request.body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON in UTF-8") from None
    if not isinstance(body, _Object):
        raise BadRequest("the body must be a JSON object")
    return body.pairs


def read_unique(pairs: Sequence[tuple[str, T]], allowed: Sequence[str], kind: str) -> dict[str, T]:
    """The values by name: these names and no others, each at most once.

    :param pairs: The names and values that were sent.
    :param allowed: The names that may be sent.
    :param kind: What the text of an error calls such a pair.
    """
    found = dict[str, T]()
    for name, value in pairs:
        if name not in allowed:
            raise BadRequest(
                f"there is an unknown {kind}; allowed here: {', '.join(allowed) or 'none'}"
            )
        if name in found:
            raise BadRequest(f"the {kind} {name} is there twice")
        found[name] = value
    return found


def read_some(text: str, names: Sequence[str]) -> Mapping[str, str]:
    """The parameters with these names in a query or a form; all others are ignored.

    An empty value counts as absent (RFC 8628 section 3.1). No name may occur twice.
    """
    pairs = [(name, value) for name, value in _parse_pairs(text) if name in names and value]
    return read_unique(pairs, names, "parameter")


def read_form(request: Request, names: Sequence[str]) -> Mapping[str, str]:
    """The parameters with these names in the form in the body; all others are ignored.

    An empty value counts as absent (RFC 8628 section 3.1). No parameter may occur twice, not even
    an ignored one. None of these may be in the query, because queries are logged.
    """
    if read_some(request.query, names):
        raise BadRequest("send the parameters in the body, not in the address")
    _check_content_type(request, "application/x-www-form-urlencoded")
    within_cap(request)
    try:
        pairs = _parse_pairs(request.body.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadRequest("the body is not a form in UTF-8") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise BadRequest("a parameter is there twice")
    return {name: value for name, value in pairs if name in names and value}


def _parse_pairs(text: str, *, strict: bool = False) -> list[tuple[str, str]]:
    """The parameters of a query or a form. Parsing takes 80 times their length in memory."""
    if not text and not strict:
        return []
    if _PLAIN_PAIRS.fullmatch(text):  # what the elements send; `parse_qsl` takes longer
        return [
            (name, value) for name, _, value in (pair.partition("=") for pair in text.split("&"))
        ]
    if len(text) > _MAX_CHARACTERS:
        raise BadRequest(f"the parameters are longer than {_MAX_CHARACTERS} characters")
    try:
        return parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=strict,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise BadRequest("the parameters are malformed") from None


def _check_content_type(request: Request, media: str) -> None:
    sent = (one_header(request, "content-type") or "").partition(";")[0].strip().lower()
    if sent != media:
        raise UnsupportedMediaType(f"send Content-Type: {media}")


class _Object:
    """A JSON object that keeps duplicate names."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


_read_json: Final = json.JSONDecoder(object_pairs_hook=_Object).decode
