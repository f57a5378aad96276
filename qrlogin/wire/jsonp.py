"""JSONP: an answer that a page runs as a script, in which the function is called that the page has named.

The name is the one thing of a request that is repeated in an answer, so it has few letters and is short: too short for a file
of another kind that is spelled in letters (the attack on `callback` called Rosetta Flash needs hundreds).
"""

import re
from typing import Final

from qrlogin.errors import BadRequest
from qrlogin.wire.guards import read_some
from qrlogin.wire.message import Request

_NAME: Final = re.compile(r"[A-Za-z0-9_$.]{1,64}")


def read_callback(request: Request) -> str:
    """The function to call; "" if the query names none. Raises `BadRequest` for all that is no plain name."""
    name = read_some(request.query, ("callback",)).get("callback", "")
    if name and not _NAME.fullmatch(name):
        raise BadRequest("callback must be the name of a function: 1 to 64 letters, digits, _, $ or .")
    return name
