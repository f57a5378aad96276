"""Keeps codes and tickets out of the access log of a server.

The address of a QR code, and some addresses of the dialects, hold a code or a ticket. None of them
logs in without the browser's cookie, but a code can be scanned for as long as it is valid.
"""

import logging
import re
from typing import Final

#: Longer than any name in a path of this library or of its dialects, and shorter than any code.
_LONGEST_NAME: Final = 19
_AFTER_QR: Final = re.compile(r"(?<=/qr/)[^\s\"?]+")
_LONG_PART: Final = re.compile(rf"(?<=/)[^/\s\"?]{{{_LONGEST_NAME + 1},}}")
_QUERY: Final = re.compile(r"(?<=\?)[^\s\"]+")


class HideCodes(logging.Filter):
    """A filter for the logger of a server's requests. It replaces with "…" each query, each part of
    a path that is long enough to be a code, and what follows `/qr/`.

    uvicorn: `logging.getLogger("uvicorn.access").addFilter(HideCodes())`, when the application
    starts. For `flask run` the logger is "werkzeug", and for Django's runserver "django.server".
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record: always True. Its arguments are changed."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                hide_codes(value) if isinstance(value, str) else value for value in record.args
            )
        return True


def hide_codes(text: str) -> str:
    """`text`, a path or a line that contains one, with "…" in place of what may be a code."""
    for pattern in (_QUERY, _AFTER_QR, _LONG_PART):
        text = pattern.sub("…", text)
    return text
