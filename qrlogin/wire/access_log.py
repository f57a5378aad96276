"""Keeps codes and tickets out of the access log of a server.

The address of a QR code, and some addresses of the dialects, hold a code or a ticket. None of them
logs in without the browser's cookie, but a code can be scanned for as long as it is valid.
"""

import logging
import re
from collections.abc import Iterator, Mapping
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
    starts. The logger of gunicorn is "gunicorn.access", that of hypercorn "hypercorn.access". For
    `flask run` it is "werkzeug", and for Django's runserver "django.server".
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record: always True. Its arguments are changed, or its message if it
        has no arguments.
        """
        if not record.args:
            record.msg = _hidden(record.msg)
        elif isinstance(record.args, tuple):
            record.args = tuple(_hidden(value) for value in record.args)
        else:
            record.args = _HiddenAtoms(record.args)
        return True


class _HiddenAtoms(Mapping[str, object]):
    """The one dict of arguments of gunicorn and hypercorn. It asks theirs for each name, because
    that also knows names which are not in it.
    """

    def __init__(self, atoms: Mapping[str, object]) -> None:
        self._atoms = atoms

    def __getitem__(self, name: str) -> object:
        value = self._atoms[name]
        if name == "q" and value:  # the query, without its question mark
            return "…"
        return _hidden(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._atoms)

    def __len__(self) -> int:
        return len(self._atoms)


def _hidden(value: object) -> object:
    return hide_codes(value) if isinstance(value, str) else value


def hide_codes(text: str) -> str:
    """`text`, a path or a line that contains one, with "…" in place of what may be a code."""
    for pattern in (_QUERY, _AFTER_QR, _LONG_PART):
        text = pattern.sub("…", text)
    return text
