"""The native dialect's routes: what each reads, answers and refuses. `native.py` reads requests by
them.

The shapes are JSON Schema (2020-12). Data only.
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
    DeniedBySite,
    Expired,
    MatchCodeNeeded,
    Paused,
    QRLoginError,
    ScannerChanged,
    StepUpNeeded,
    Superseded,
    TooManyBegins,
    TooManyGuesses,
    TooManyScans,
    TooManyWaits,
    Unauthenticated,
    Unavailable,
    UnknownLogin,
    UpgradeRequired,
    WrongMatchCode,
    WrongState,
)
from qrlogin.known_browsers import MAX_KNOWN_LENGTH
from qrlogin.table import State
from qrlogin.wire.routes import JSON, PNG_IMAGE, Answer, Field, Route, an_object

MAX_WAIT: Final = 25  # seconds; proxies begin to time out after 30

_TEXT: Final = {"type": "string"}
_SECONDS: Final = {"type": "integer", "minimum": 0}
_DIGITS: Final = {"type": "string", "pattern": "^[0-9]{2,3}$"}
_NUMBER: Final = {"type": "integer", "minimum": 0}
_STATE: Final = {"type": "string", "enum": [*State]}
_LOGIN: Final[Mapping[str, Any]] = {
    "login_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"},
    "state": _STATE,
}
_PICTURE: Final[Mapping[str, Any]] = {
    "code_expires_in": _SECONDS,
    "rotates_in": _SECONDS,
    "verification_uri_complete": {"type": "string", "format": "uri"},
}
_PATH: Final = an_object({"size": _NUMBER, "path": _TEXT, "id": _TEXT})
_BEGUN: Final = an_object(
    {
        **_LOGIN,
        "version": _NUMBER,
        "expires_in": _SECONDS,
        "verification_uri": {"type": "string", "format": "uri"},
        **_PICTURE,
    },
    qr=_PATH,
    user_code={"type": "string", "pattern": "^[A-Z]{4}-[A-Z]{4}$"},
    device_code=_TEXT,
)
_SEEN: Final = an_object(
    {**_LOGIN, "version": _NUMBER, "expires_in": _SECONDS},
    **_PICTURE,
    qr=_PATH,
    scanned_by=an_object({"shown_as": _TEXT, "tag": _TEXT}, name=_TEXT),
    match_code=_DIGITS,
    retry_after=_SECONDS,
    echo=_TEXT,
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
    },
    match_digits={"type": "integer", "enum": [2, 3]},
    landing=_TEXT,
    known_browser={"type": "boolean"},
)
_DONE_ANSWER: Final = Answer(
    200, "Done, by this request or an earlier one", JSON, an_object(_LOGIN)
)

_ENDED_ERRORS: Final[tuple[type[QRLoginError], ...]] = (
    AlreadyRedeemed,
    Denied,
    Cancelled,
    Expired,
    Unavailable,
)
#: Where the application's judge is asked.
_JUDGED_ERRORS: Final = (DeniedBySite, StepUpNeeded)
_PHONE_ERRORS: Final = (Unauthenticated, UnknownLogin, WrongState, TooManyGuesses, *_ENDED_ERRORS)

_PROOFS: Final = ("device_cookie", "device_code")

_CODE: Final = Field("code", "what the camera read or the person typed, unchanged", required=True)
_LANDING: Final = Field(
    "landing",
    "`landing` of the answer to a look, for callers without a cookie",
    pattern="[A-Za-z0-9_-]{43}",
)
_KNOWN: Final = Field(
    "known",
    "`known` of the answer to the last redeem, for clients without cookies. The phone shows "
    "whether its account was logged in there before",
    pattern=f"[A-Za-z0-9_.-]{{0,{MAX_KNOWN_LENGTH}}}",
)
_AFTER: Final = Field("after", "the last version that this client received", pattern="[0-9]{1,15}")
_ECHO: Final = Field(
    "echo",
    "up to 32 letters and digits, which the answer repeats: a client sends others each time, and "
    "so recognizes an answer that a cache kept",
    pattern="[A-Za-z0-9]{1,32}",
)
_PICTURE_SHOWN: Final = Field(
    "picture",
    '"none", or `qr.id` of the picture that this client shows: the answer has `qr` only for '
    "another picture. `Accept: application/json; picture=…` says the same",
    pattern="none|[A-Za-z0-9_-]{12}",
)
_WAIT: Final = Field(
    "wait",
    f"a whole number of seconds, {MAX_WAIT} at most; the server may answer sooner",
    pattern="0{0,13}([0-9]|1[0-9]|2[0-5])",
)

BEGIN: Final = Route(
    "POST",
    "begin",
    "Begin a login for this browser",
    body=(
        Field("deliver", '"cookie" or "body"', pattern="cookie|body"),
        Field("picture", '"none", for an answer without `qr`', pattern="none"),
        _KNOWN,
    ),
    answers=(
        Answer(
            201,
            "The code to show. The device_code is in a cookie, or in the body on request",
            JSON,
            _BEGUN,
        ),
    ),
    errors=(TooManyBegins, Paused, Unavailable),
)
STATUS: Final = Route(
    "GET",
    "{login_id}",
    "The status of the login; held until there is news",
    query=(_AFTER, _WAIT, _ECHO, _PICTURE_SHOWN),
    answers=(
        Answer(
            200,
            "The status. With `retry_after` it was not held, because too many requests are: "
            "ask again after so many seconds",
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
    "The status of the login as server-sent events: one for each change, until the login ends",
    query=(_AFTER, _PICTURE_SHOWN),
    answers=(
        Answer(200, "A stream of these events", "text/event-stream", _EVENT),
        Answer(204, "The client has received everything: do not reconnect"),
    ),
    errors=(UnknownLogin, TooManyWaits, Crowded, Unavailable),
    proofs=_PROOFS,
)
SOCKET: Final = Route(
    "GET",
    "{login_id}/socket",
    "The same over a websocket; ASGI only",
    query=(_AFTER, _PICTURE_SHOWN),
    errors=(UpgradeRequired,),
    proofs=_PROOFS,
)
SVG, PNG = (
    Route(
        "GET",
        f"{{login_id}}/qr.{kind}",
        f"The QR code as {kind.upper()}",
        query=(
            Field("at", "any number: makes an address that no cache holds", pattern="[0-9]{1,15}"),
        ),
        answers=(
            Answer(
                200,
                "The picture, while the code may be shown",
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
    "Cancel the login",
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
            "scanned_by.tag, from the status that named the scanner",
            required=True,
            pattern="[ -~]{0,128}",
        ),
        Field(
            "op",
            "16 to 128 letters, digits, - or _: random, drawn once per click, and the same in each "
            "repetition until there is an answer",
            required=True,
            pattern="(?=[_-]*[A-Za-z0-9])[A-Za-z0-9_-]{16,128}",
        ),
        _KNOWN,
    ),
    answers=(
        Answer(
            200,
            "The application has logged this browser in. `known` is for clients that sent a token",
            JSON,
            an_object(_LOGIN, known=_TEXT),
        ),
    ),
    errors=(UnknownLogin, WrongState, ScannerChanged, *_ENDED_ERRORS),
    proofs=_PROOFS,
)
ELEMENTS: Final = tuple(
    Route(
        "GET",
        name,
        "A module of the browser elements",
        cross_site=True,
        answers=(
            Answer(200, "The module", "text/javascript", _TEXT),
            Answer(304, "The module has not changed"),
        ),
    )
    for name in MODULES
)
VERSIONED: Final = Route(
    "GET",
    "modules/{version}/{module}",
    "A module of the browser elements, which a browser need not ask for again",
    cross_site=True,
    answers=ELEMENTS[0].answers,
)
LOOK, SCAN = (
    Route(
        "POST",
        verb,
        summary,
        body=(_CODE, _LANDING),
        answers=(Answer(200, "What the person must see before approving", JSON, _SCANNED),),
        errors=(*_PHONE_ERRORS, *_JUDGED_ERRORS, AlreadyScanned, TooManyScans),
    )
    for verb, summary in (
        ("look", "Show what the code asks for, without taking the login"),
        ("scan", "Take the login for this account"),
    )
)
CONFIRM: Final = Route(
    "POST",
    "confirm",
    "Approve the login",
    body=(
        _CODE,
        Field(
            "match_code",
            "the digits that the browser shows, if the scan was answered with `match_digits`",
            pattern="[0-9]{2,3}",
        ),
    ),
    answers=(_DONE_ANSWER,),
    errors=(MatchCodeNeeded, WrongMatchCode, *_PHONE_ERRORS, *_JUDGED_ERRORS),
)
DENY, RELEASE = (
    Route("POST", verb, summary, body=(_CODE,), answers=(_DONE_ANSWER,), errors=_PHONE_ERRORS)
    for verb, summary in (
        ("deny", "Deny the login"),
        ("release", "Release the login: its code can be scanned again"),
    )
)
OUTCOME: Final = Route(
    "POST",
    "outcome",
    "What became of a login that this account scanned",
    body=(_CODE,),
    answers=(Answer(200, "Its state", JSON, an_object(_LOGIN)),),
    errors=(Unauthenticated, UnknownLogin, TooManyGuesses, Expired, Unavailable),
)
