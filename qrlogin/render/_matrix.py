"""From a text to dark and light modules, once for all forms: the only place that knows segno.

It knows the QR code's level, mask and quiet zone; it refuses to know colours, pixels and file formats.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import segno

QUIET_ZONE: Final = 4  # modules of light on every side, as ISO/IEC 18004 asks
MAX_BYTES: Final = 2953  # of a version 40-L code in byte mode, ISO/IEC 18004, table 7

# A screen is never torn or stained, and larger modules are read from further away: 105 bytes, a usual login link, are
# 37 modules wide at L (and fit a terminal of 24 rows), 41 at M. Where a higher level costs no module, segno takes it.
_LEVEL: Final = "L"
# One mask for every text. Trying all eight, as the standard asks, is three quarters of segno's time, and a login link
# is mostly random: the penalty of mask 4 is on average within 5 % of the best of eight. Decoders (zxing-cpp, zbar,
# jsQR) read both equally well when blurred, turned, shrunk or squeezed by JPEG.
MASK: Final = 4

_DARK_RUN: Final = re.compile("1+")


@dataclass(frozen=True, slots=True)
class MatrixPath:
    """A QR code as one SVG path: `<svg viewBox="0 0 {size} {size}"><path d="{path}"/></svg>` on a light ground.

    `size` is the width and height in modules, the quiet zone of four on each side included. `path` holds the dark
    modules, to be filled (not stroked) in a dark colour by either fill rule. HTML and JSON need no escapes for it.
    """

    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Drawing:
    rows: tuple[str, ...]  # "1" is a dark module, "0" a light one; the quiet zone is included
    outline: MatrixPath


# Every worker draws a code anew when it rotates; until then each status answer, picture and page finds it here.
# A usual login link takes 7 KB, so a full cache takes 7 MB.
@lru_cache(maxsize=1024)
def drawing(text: str) -> Drawing:
    """The modules of `text` and their outline. Raises ValueError if `text` is empty, too long or no Unicode text."""
    checked(text)
    # Left alone, segno writes Latin-1 or Shift JIS where it can, and the reader has to guess; readers expect UTF-8.
    code = segno.make_qr(text, error=_LEVEL, mask=MASK, mode="byte", encoding="utf-8")
    side = "0" * QUIET_ZONE
    inner = tuple(side + "".join(map(str, row)) + side for row in code.matrix)
    margin = ("0" * len(inner[0]),) * QUIET_ZONE
    rows = margin + inner + margin
    return Drawing(rows, MatrixPath(len(rows), _comb(rows)))


def checked(text: str) -> bytes:
    """What a code is to carry. Raises ValueError as `drawing` does."""
    if not isinstance(text, str) or not text:
        raise ValueError("a QR code needs a text of at least one character")
    try:
        content = text.encode()
    except UnicodeEncodeError:
        # `from None`: the original error holds the whole text, and the text may hold a code.
        raise ValueError(
            "the text holds half a surrogate pair, which no QR code can carry"
        ) from None
    if len(content) > MAX_BYTES:
        raise ValueError(
            f"a QR code carries at most {MAX_BYTES} bytes, this text has {len(content)}: use a shorter address"
        )
    return content


def matrix_path(text: str) -> MatrixPath:
    """The code for a page that may not use `innerHTML` or `data:` images: it sets one attribute of one path by hand."""
    return drawing(text).outline


def _comb(rows: tuple[str, ...]) -> str:
    # Each row is a comb: up, over a dark run, down, along the row's lower edge to the next run. Closing it runs back
    # along that edge and encloses nothing more. A rectangle for each run would be a third longer.
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
