"""The native dialect's routes: what each reads, what it says, and what it refuses. `native.py` reads requests by them.

The shapes are JSON Schema (2020-12). Nothing is decided here.
"""

from collections.abc import Mapping
from typing import Any, Final

from qrlogin.browser import MODULES
from qrlogin.errors import (
    AlreadyRedeemed,
    AlreadyScanned,
    Cancelled,
    Crowded,
    Denied,
    Expired,
    QRLoginError,
    ScannerChanged,
    Superseded,
    TooManyGuesses,
    Unauthenticated,
    Unavailable,
    UnknownLogin,
    UpgradeRequired,
    WrongState,
)
from qrlogin.table import State
from qrlogin.wire.routes import JSON, PNG_IMAGE, Answer, Field, Route, an_object

MAX_WAIT: Final = 25  # seconds: below the 30 s after which proxies begin to give up

_TEXT: Final = {"type": "string"}
_SECONDS: Final = {"type": "integer", "minimum": 0}
_NUMBER: Final = {"type": "integer", "minimum": 0}
_STATE: Final = {"type": "string", "enum": [*State]}
_LOGIN: Final[Mapping[str, Any]] = {
    "login_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"},
    "state": _STATE,
}
_PICTURE: Final[Mapping[str, Any]] = {
    "rotates_in": _SECONDS,
    "verification_uri_complete": {"type": "string", "format": "uri"},
    "qr": an_object({"size": _NUMBER, "path": _TEXT}),
}
_BEGUN: Final = an_object(
    {
        **_LOGIN,
        "version": _NUMBER,
        "expires_in": _SECONDS,
        "verification_uri": {"type": "string", "format": "uri"},
        **_PICTURE,
    },
    user_code={"type": "string", "pattern": "^[A-Z]{4}-[A-Z]{4}$"},
    device_code=_TEXT,
)
_SEEN: Final = an_object(
    {**_LOGIN, "version": _NUMBER, "expires_in": _SECONDS},
    **_PICTURE,
    scanned_by=an_object({"shown_as": _TEXT, "tag": _TEXT}),
    retry_after=_SECONDS,
)
_EVENT: Final = an_object(
    {"data": {"type": "string", "contentMediaType": JSON, "contentSchema": _SEEN}},
    event={"type": "string", "enum": ["message", "code", "superseded"]},
    id=_TEXT,
    retry=_NUMBER,
)
_SCANNED: Final = an_object(
    {
        **_LOGIN,
        "context": {"type": "object", "additionalProperties": _TEXT},
        "begun_ago": _SECONDS,
        "expires_in": _SECONDS,
    }
)
_DONE_ANSWER: Final = Answer(200, "Done, now or before", JSON, an_object(_LOGIN))

_ENDED_ERRORS: Final[tuple[type[QRLoginError], ...]] = (
    AlreadyRedeemed,
    Denied,
    Cancelled,
    Expired,
    Unavailable,
)
_PHONE_ERRORS: Final = (Unauthenticated, UnknownLogin, WrongState, TooManyGuesses, *_ENDED_ERRORS)

_PROOFS: Final = ("device_cookie", "device_code")

_CODE: Final = Field("code", "what the camera read or the person typed, as it is", required=True)
_AFTER: Final = Field("after", "the version that you were last told", pattern="[0-9]{1,15}")
_WAIT: Final = Field(
    "wait", f"a whole number of seconds, {MAX_WAIT} at most", pattern="0{0,13}([0-9]|1[0-9]|2[0-5])"
)

BEGIN: Final = Route(
    "POST",
    "begin",
    "Begin a login for this browser",
    body=(Field("deliver", '"cookie" or "body"', pattern="cookie|body"),),
    answers=(
        Answer(
            201,
            "Show the picture. The device_code is in a cookie, or in the body if asked for there",
            JSON,
            _BEGUN,
        ),
    ),
    errors=(Unavailable,),
)
STATUS: Final = Route(
    "GET",
    "{login_id}",
    "Where the login stands; held while there is no news",
    query=(_AFTER, _WAIT),
    answers=(
        Answer(
            200,
            "Where it stands. With `retry_after` it was not held, for too many wait: ask again then",
            JSON,
            _SEEN,
        ),
    ),
    errors=(UnknownLogin, Superseded, Unavailable),
    proofs=_PROOFS,
)
EVENTS: Final = Route(
    "GET",
    "{login_id}/events",
    "Where the login stands, as server-sent events: one for each news, until it is over",
    query=(_AFTER,),
    answers=(
        Answer(200, "A stream of such events", "text/event-stream", _EVENT),
        Answer(204, "All has been told: do not come back"),
    ),
    errors=(UnknownLogin, Crowded, Unavailable),
    proofs=_PROOFS,
)
SOCKET: Final = Route(
    "GET",
    "{login_id}/socket",
    "The same over a websocket; ASGI only",
    query=(_AFTER,),
    errors=(UpgradeRequired,),
    proofs=_PROOFS,
)
SVG, PNG = (
    Route(
        "GET",
        f"{{login_id}}/qr.{kind}",
        f"The QR code as {kind.upper()}",
        query=(
            Field("at", "any number: for an address that no cache knows", pattern="[0-9]{1,15}"),
        ),
        answers=(
            Answer(
                200,
                "The picture, while the login is pending",
                media,
                {"type": "string"} if kind == "svg" else {},
            ),
        ),
        errors=(UnknownLogin, WrongState, Expired, Unavailable),
        proofs=_PROOFS,
    )
    for kind, media in (("svg", "image/svg+xml"), ("png", PNG_IMAGE))
)
CANCEL: Final = Route(
    "POST",
    "{login_id}/cancel",
    "Give the login up",
    body=(),
    answers=(_DONE_ANSWER,),
    errors=(UnknownLogin, AlreadyRedeemed, Denied, Expired, Unavailable),
    proofs=_PROOFS,
)
REDEEM: Final = Route(
    "POST",
    "{login_id}/redeem",
    "Collect the login, once",
    body=(
        Field(
            "acknowledged",
            "scanned_by.tag, from the status that told the browser who scanned",
            required=True,
            pattern="[ -~]{0,128}",
        ),
        Field(
            "op",
            "16 to 128 letters, digits, - or _: random, made once per click and kept until answered",
            required=True,
            pattern="(?=[_-]*[A-Za-z0-9])[A-Za-z0-9_-]{16,128}",
        ),
    ),
    answers=(Answer(200, "The application has logged this browser in", JSON, an_object(_LOGIN)),),
    errors=(UnknownLogin, WrongState, ScannerChanged, *_ENDED_ERRORS),
    proofs=_PROOFS,
)
ELEMENTS: Final = tuple(
    Route(
        "GET",
        name,
        "A module of the elements for the browser",
        cross_site=True,
        answers=(
            Answer(200, "The module", "text/javascript", _TEXT),
            Answer(304, "It has not changed"),
        ),
    )
    for name in MODULES
)
SCAN: Final = Route(
    "POST",
    "scan",
    "The phone read the code",
    body=(_CODE,),
    answers=(Answer(200, "What the person must see before approving", JSON, _SCANNED),),
    errors=(*_PHONE_ERRORS, AlreadyScanned),
)
CONFIRM, DENY, RELEASE = (
    Route("POST", verb, summary, body=(_CODE,), answers=(_DONE_ANSWER,), errors=_PHONE_ERRORS)
    for verb, summary in (
        ("confirm", "The person approves"),
        ("deny", "The person refuses"),
        ("release", "Let the code be scanned again"),
    )
)
