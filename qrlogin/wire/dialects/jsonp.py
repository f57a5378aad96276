"""JSONP: an answer that a page runs as a script, in which the function is called that the page has named.

The name is the one thing of a request that is repeated in an answer, so it has few letters and is short: too short for a file
of another kind that is spelled in letters (the attack on `callback` called Rosetta Flash needs hundreds).
"""

from typing import Final

from qrlogin.wire.message import Request
from qrlogin.wire.routes import JSON, SCRIPT, Answer, Field
from qrlogin.wire.validation import read_some

#: An empty one is none.
CALLBACK: Final = Field(
    "callback",
    "the name of a function: 1 to 64 letters, digits, _, $ or .",
    pattern="[A-Za-z0-9_$.]{0,64}",
)
JSONP_ANSWERS: Final = (
    Answer(200, "What it says, also when it refuses", JSON, {"type": "object"}),
    Answer(200, "The same as a script, if a callback is named", SCRIPT, {"type": "string"}),
)


def read_callback(request: Request) -> str:
    """The function to call; "" if the query names none. Raises `BadRequest` for all that is no plain name."""
    return CALLBACK.read(read_some(request.query, (CALLBACK.name,)).get(CALLBACK.name, ""))
