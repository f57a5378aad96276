"""What every request is held against before it is believed: where it comes from, and that it says exactly one thing.

Nothing here looks at a login. Each guard returns the value that it has checked, or raises a `BadRequest` that says what to
mend and repeats nothing of what was sent.
"""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from qrlogin.errors import BadRequest, Forbidden, TooLarge, UnsupportedMediaType
from qrlogin.wire.message import BODY_CAP, Request

_MOST_PARAMETERS, _LONGEST = (
    100,
    8192,
)  # and characters; no request of any dialect comes near either
_OWN_PAGES: Final = ("same-origin", "none")


def one_header(request: Request, name: str) -> str | None:
    """A header that may be sent once at most."""
    values = request.all(name)
    if len(values) > 1:
        raise BadRequest(f"send one {name} header, not several")
    return values[0] if values else None


def check_origin(request: Request, origin: str) -> bool:
    """Refuse pages of other origins. False: nothing says that a page sent this at all (a CLI, a phone app, an old browser).

    `Origin` must be the configured one (RFC 6454), never what `Host` claims; `Sec-Fetch-Site` must say same-origin or none
    (W3C Fetch Metadata).
    """
    sent, site = one_header(request, "origin"), one_header(request, "sec-fetch-site")
    if sent is not None and sent != origin:
        raise Forbidden("Origin is not the site that this service is configured for")
    if site is not None and site not in _OWN_PAGES:
        raise Forbidden("a page of another site sent this request")
    return sent is not None or site is not None


def check_same_site(request: Request) -> None:
    """Refuse what a page of another site made its browser send (W3C Fetch Metadata); for dialects whose GETs act."""
    site = one_header(request, "sec-fetch-site")
    if site is not None and site not in (
        *_OWN_PAGES,
        "same-site",
    ):  # nor what a server made of two headers
        raise Forbidden("a page of another site sent this request")


def bearer(request: Request) -> str | None:
    """The credential of `Authorization: Bearer` (RFC 6750 section 2.1), if there is one."""
    scheme, _, credential = (one_header(request, "authorization") or "").partition(" ")
    return credential if scheme.lower() == "bearer" and credential else None


def basic(request: Request) -> tuple[str, str] | None:
    """The id and the secret of `Authorization: Basic`, if there is one, each form-encoded within it (RFC 6749 section 2.3.1)."""
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
    if request.body:
        raise BadRequest("send no body with this method")


def within_cap(request: Request) -> None:
    if len(request.body) > BODY_CAP:
        raise TooLarge(f"a body has at most {BODY_CAP} bytes")


def read_query(request: Request, allowed: Sequence[str]) -> Mapping[str, str]:
    """The query's parameters: known ones only, each at most once."""
    return _unique(_pairs(request.query, strict=bool(request.query)), allowed, "query parameter")


def _pairs(text: str, *, strict: bool = False) -> list[tuple[str, str]]:
    """The parameters of a query or a form, as they stand there; reading them takes 80 times their length in memory."""
    if len(text) > _LONGEST:
        raise BadRequest(f"the parameters are longer than {_LONGEST} characters")
    try:
        return parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=strict,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:
        raise BadRequest("the parameters are malformed") from None


def read_some(text: str, names: Sequence[str]) -> Mapping[str, str]:
    """These parameters of a query or a form, in any order, whatever else is there; an empty one is none (RFC 8628 section 3.1).

    None of them may be there twice.
    """
    return _unique(
        [(name, value) for name, value in _pairs(text) if name in names and value],
        names,
        "parameter",
    )


def read_form(request: Request, names: Sequence[str]) -> Mapping[str, str]:
    """These parameters of the body's form, in any order, whatever else is there; an empty one is none (RFC 8628 section 3.1).

    No parameter may be there twice, known or not, and none of these in the query, which is logged.
    """
    if read_some(request.query, names):
        raise BadRequest("send the parameters in the body, not in the address")
    kind = (one_header(request, "content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("send Content-Type: application/x-www-form-urlencoded")
    within_cap(request)
    try:
        pairs = _pairs(request.body.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadRequest("the body is not a form in UTF-8") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise BadRequest("a parameter is there twice")
    return {name: value for name, value in pairs if name in names and value}


def read_json(request: Request, fields: Mapping[str, bool]) -> Mapping[str, str]:
    """The body's JSON object: these fields and no others, all of them text, and nothing in the query. The mapping says which
    are required.

    Refuses what a lenient reader would guess at: duplicate keys (RFC 8259 section 4), other encodings than UTF-8, a byte order
    mark; and whatever is not text, so NaN and anything nested too.
    """
    read_query(request, ())
    kind = (one_header(request, "content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMediaType("send Content-Type: application/json")
    within_cap(request)
    try:
        body = json.loads(request.body.decode("utf-8"), object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON in UTF-8") from None
    if not isinstance(body, _Object):
        raise BadRequest("the body must be a JSON object")
    read = _unique(body.pairs, list(fields), "field")
    for name, required in fields.items():
        if required and name not in read:
            raise BadRequest(f"the field {name} is missing")
    for name, value in read.items():
        if not isinstance(value, str):
            raise BadRequest(f"the field {name} must be text")
        if not _is_unicode(value):
            raise BadRequest(f"the field {name} is not valid Unicode")
    return read


class _Object:
    """A JSON object whose keys have not been looked at yet."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _unique(pairs: Sequence[tuple[str, Any]], allowed: Sequence[str], kind: str) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, value in pairs:
        if name not in allowed:
            raise BadRequest(
                f"there is an unknown {kind}; known here: {', '.join(allowed) or 'none'}"
            )
        if name in read:
            raise BadRequest(f"the {kind} {name} is there twice")
        read[name] = value
    return read


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
