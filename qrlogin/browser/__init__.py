"""The <qr-login> element: one hand-written ES module, shipped as it is.

Knows where its bytes are. Knows nothing of logins, HTTP or caching: who serves it decides about headers.
"""

from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["ELEMENT", "element"]

ELEMENT: Final = "qr-login-element.js"
"""The module's file name, inside this package and below a mount."""


@cache
def element() -> bytes:
    """The module's source, UTF-8; read once per process. Serve it as `text/javascript`."""
    return files(__package__).joinpath(ELEMENT).read_bytes()
