"""JSONP: an answer that a page runs as a script, which calls the function that the page named.

The name is the only part of a request that is repeated in an answer. It has few letters and is
short: too short for a file of another kind that is spelled in letters (the attack on `callback`
called Rosetta Flash needs hundreds).
"""

from typing import Final

from qrlogin.wire.dialects.public_id_routes import JSON_ANSWER
from qrlogin.wire.message import Request
from qrlogin.wire.routes import SCRIPT, Answer, Field
from qrlogin.wire.validation import read_some

CALLBACK: Final = Field(
    "callback",
    "the name of a function: 1 to 64 letters, digits, _, $ or .",
    pattern="[A-Za-z0-9_$.]{0,64}",
)
"""For `Route.query`: the function that the script calls. An empty callback counts as absent."""

JSONP_ANSWERS: Final = (
    JSON_ANSWER,
    Answer(
        200, "The same as a script, if the request names a callback", SCRIPT, {"type": "string"}
    ),
)
"""For `Route.answers` of a route that answers JSON, or JSONP if the request has a `CALLBACK`."""


def read_callback(request: Request) -> str:
    """The name of the function to call, or "" without one. Raises `BadRequest` for anything but a
    plain name.
    """
    return CALLBACK.read(read_some(request.query, (CALLBACK.name,)).get(CALLBACK.name, ""))
