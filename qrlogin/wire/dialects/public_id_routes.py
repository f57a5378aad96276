"""The routes, answers and errors that the dialects with a public id share. Data only: routes are
matched by it, and OpenAPI shows it.
"""

from typing import Final

from qrlogin.errors import (
    AlreadyRedeemed,
    Cancelled,
    Denied,
    Expired,
    QRLoginError,
    ScannerChanged,
    TooManyBegins,
    Unavailable,
    UnknownLogin,
    WrongState,
)
from qrlogin.wire.routes import JSON, PNG_IMAGE, SCRIPT, Answer, Field, Route

JSON_ANSWER: Final = Answer(
    200, "The result, or the reason for a refusal", JSON, {"type": "object"}
)
"""For `Route.answers`: `PublicIdDialect.json`. Its clients read refusals in it, too."""

SCRIPT_ANSWER: Final = Answer(
    200, "A script with the result, or with the reason for a refusal", SCRIPT, {"type": "string"}
)
"""For `Route.answers`: `PublicIdDialect.script`. Its clients read refusals in it, too."""

PICTURE_ANSWER: Final = Answer(200, "The picture", PNG_IMAGE)
"""For `Route.answers`: `PublicIdDialect.picture`, the QR code as PNG."""

REDIRECT_ANSWER: Final = Answer(302, "A redirect")
"""For `Route.answers`: `PublicIdDialect.redirect` with its default status, 302."""

CROWDED_ANSWER: Final = Answer(503, "Too many requests are held: try again later")
"""For `Route.answers` of a route that returns `PublicIdDialect.held_status`."""

REDEEM_ERRORS: Final[tuple[type[QRLoginError], ...]] = (
    UnknownLogin,
    WrongState,
    ScannerChanged,
    AlreadyRedeemed,
    Denied,
    Cancelled,
    Expired,
    Unavailable,
)
"""For `Route.errors` of a route that redeems a login and answers errors with their HTTP status."""

COOKIE_PROOF: Final = ("device_cookie",)
"""For `Route.proofs`: the request must carry the cookie of the browser that began the login."""


def public_id_field(name: str) -> Field:
    """The parameter that names the login, as this dialect's clients call it."""
    return Field(name, "the public id of the login", required=True)


def begin_route(
    path: str,
    *answers: Answer,
    query: tuple[Field, ...] = (),
    errors: tuple[type[QRLoginError], ...] = (),
    same_site: bool = False,
) -> Route:
    """The route that begins a login.

    :param path: below the mount
    :param answers: what it answers when it does not refuse
    :param query: the parameters that it reads
    :param errors: what it refuses, besides the errors of every route
    :param same_site: whether pages of other origins of this site may link to it: only for an answer
        that is a page
    """
    summary, refused = "Begin a login for this browser", (*errors, TooManyBegins)
    return Route(
        "GET", path, summary, same_site=same_site, query=query, answers=answers, errors=refused
    )


def picture_route(path: str) -> Route:
    """The route of the QR code, for a path with `{code}` in it."""
    return Route(
        "GET", path, "The QR code as PNG", answers=(PICTURE_ANSWER,), errors=(UnknownLogin,)
    )


def scan_route(path: str, parameter: str = "") -> Route:
    """The route that the QR code's address leads to, for `PublicIdDialect.open_page`. Pages of
    other sites may link to it.

    :param path: below the mount
    :param parameter: the query parameter that holds the public id; "": the path holds it, as
        `{code}`
    """
    return Route(
        "GET",
        path,
        "Redirect an ordinary camera to the page for the phone",
        cross_site=True,
        query=(public_id_field(parameter),) if parameter else (),
        answers=(REDIRECT_ANSWER,),
        errors=(UnknownLogin,),
    )
