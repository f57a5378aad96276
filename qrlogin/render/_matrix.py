"""Turns a text into dark and light modules, once for all forms. Only this module knows segno.

It decides level, mask and quiet zone. It knows nothing of colours, pixels and file formats.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import segno

QUIET_ZONE: Final = 4  # light modules on every side: ISO/IEC 18004 requires four
MAX_BYTES: Final = 2953  # in a version 40-L code in byte mode: ISO/IEC 18004, table 7

# A screen is never torn or stained, and larger modules are read from further away. A usual login
# link has 105 bytes: 37 modules at L, which fit a terminal of 24 rows, and 41 at M. segno uses a
# higher level where that costs no module.
_LEVEL: Final = "L"
# One mask for every text. The standard tries all eight, which takes three quarters of segno's time.
# A login link is mostly random, so the penalty of mask 4 is on average within 5 % of the best of
# eight. Decoders (zxing-cpp, zbar, jsQR) read both equally well when the picture is blurred,
# turned, shrunk or compressed as JPEG.
MASK: Final = 4

_DARK_RUN: Final = re.compile("1+")


@dataclass(frozen=True, slots=True)
class MatrixPath:
    """A QR code as one SVG path: `<svg viewBox="0 0 {size} {size}"><path d="{path}"/></svg>`.

    The background must be light.
    """

    size: int
    """Width and height in modules, with the quiet zone of four on each side."""
    path: str
    """The dark modules, to be filled (not stroked) by either fill rule. It needs no escapes."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """The modules of one text."""

    rows: tuple[str, ...]
    """"1" is a dark module and "0" a light one, with the quiet zone."""
    outline: MatrixPath


# A code is drawn once until it rotates: each status, picture and page takes it from the cache. A
# usual login link takes 7 KB, so a full cache takes 7 MB.
@lru_cache(maxsize=1024)
def drawing(text: str) -> Drawing:
    """The modules of `text` and their outline. Raises ValueError as `checked` does."""
    checked(text)
    # By default segno writes Latin-1 or Shift JIS where it can. Decoders expect UTF-8.
    code = segno.make_qr(text, error=_LEVEL, mask=MASK, mode="byte", encoding="utf-8")
    side = "0" * QUIET_ZONE
    inner = tuple(side + "".join(map(str, row)) + side for row in code.matrix)
    margin = ("0" * len(inner[0]),) * QUIET_ZONE
    rows = margin + inner + margin
    return Drawing(rows, MatrixPath(len(rows), _path(rows)))


def checked(text: str) -> bytes:
    """`text` as bytes. Raises ValueError if it is empty, too long or not valid Unicode."""
    if not isinstance(text, str) or not text:
        raise ValueError("a QR code needs a text of at least one character")
    try:
        content = text.encode()
    except UnicodeEncodeError:
        # `from None`: the original error contains the text, which may contain a code.
        raise ValueError(
            "the text holds half a surrogate pair, which no QR code can carry"
        ) from None
    if len(content) > MAX_BYTES:
        raise ValueError(
            f"a QR code carries at most {MAX_BYTES} bytes, this text has {len(content)}: "
            "use a shorter address"
        )
    return content


def matrix_path(text: str) -> MatrixPath:
    """The QR code of `text` for a page that may use neither `innerHTML` nor `data:` images.

    Such a page sets the `d` attribute of one path. Raises ValueError if `text` is empty or too
    long.
    """
    return drawing(text).outline


def _path(rows: tuple[str, ...]) -> str:
    # One subpath for each row: up, over a dark run, down, along the row's lower edge to the next
    # run. Closing it goes back along that edge and encloses nothing more. A rectangle for each run
    # would make the path a third longer.
    steps: list[str] = []
    for y, row in enumerate(rows):
        at = None
        for run in _DARK_RUN.finditer(row):
            start, end = run.span()
            steps.append(f"M{start} {y + 1}" if at is None else f"h{start - at}")
            steps.append(f"v-1h{end - start}v1")
            at = end
        if at is not None:
            steps.append("z")
    return "".join(steps)
