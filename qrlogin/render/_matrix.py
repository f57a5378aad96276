"""Turns a text into dark and light modules, once for all forms, and into one SVG path.

It decides encoder, level, mask and quiet zone. It knows nothing of colours, pixels and file
formats. Only this module knows segno, and the first long text loads it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from qrlogin.render import _encoder

QUIET_ZONE: Final = 4  # light modules on every side: ISO/IEC 18004 requires four
MAX_BYTES: Final = 2953  # in a version 40-L code in byte mode: ISO/IEC 18004, table 7

# Level M repairs 15 % of a code. A usual login link has 84 bytes, the most that 37 modules hold at
# M. A text that is too long for our own encoder needs its modules for its length: at L a camera
# can read twice as much. segno uses a higher level where that costs no module.
_LEVEL_OF_LONG_TEXTS: Final = "L"
# One mask for every text. The standard tries all eight, which takes three quarters of segno's time.
# A login link is mostly random, so the penalty of mask 4 is on average within 5 % of the best of
# eight. Decoders (zxing-cpp, zbar, jsQR) read both equally well when the picture is blurred,
# turned, shrunk or compressed as JPEG.
MASK: Final = _encoder.MASK

_RUN: Final = re.compile("0+|1+")
# Along the lower edge of the row below a light run; up, over a dark run, and down again.
_STEPS: Final = {"0" * n: f"h{n}" for n in range(1, 177)} | {
    "1" * n: f"v-1h{n}v1" for n in range(1, 178)
}


@dataclass(frozen=True, slots=True)
class MatrixPath:
    """A QR code as one SVG path: `<svg viewBox="0 0 {size} {size}"><path d="{path}"/></svg>`.

    The background must be light.
    """

    size: int
    """Width and height in modules, with the quiet zone of four on each side."""
    path: str
    """The dark modules, to be filled (not stroked) by either fill rule. It needs no escapes."""


# A code is drawn once until it rotates: each status, picture and page takes it from a cache. A
# usual login link takes 4 KB here and 4 KB as a path, so two full caches take 8 MB.
@lru_cache(maxsize=1024)
def modules(text: str) -> tuple[str, ...]:
    """The rows of the code of `text`, with the quiet zone; "1" is a dark module, "0" a light one.

    Raises ValueError as `checked` does.
    """
    content = checked(text)
    inner = _encoder.encode(content) if len(content) <= _encoder.MAX_BYTES else _long(text)
    side = "0" * QUIET_ZONE
    margin = ("0" * (len(inner) + 2 * QUIET_ZONE),) * QUIET_ZONE
    return (*margin, *[side + row + side for row in inner], *margin)


def _long(text: str) -> list[str]:
    import segno

    # By default segno writes Latin-1 or Shift JIS where it can. Decoders expect UTF-8.
    code = segno.make_qr(text, error=_LEVEL_OF_LONG_TEXTS, mask=MASK, mode="byte", encoding="utf-8")
    return ["".join(map(str, row)) for row in code.matrix]


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


@lru_cache(maxsize=1024)
def matrix_path(text: str) -> MatrixPath:
    """The QR code of `text` for a page that may use neither `innerHTML` nor `data:` images.

    Such a page sets the `d` attribute of one path. Raises ValueError if `text` is empty or too
    long.
    """
    rows = modules(text)
    # One subpath for each row: up, over a dark run, down, along the row's lower edge to the next
    # run. Closing it goes back along that edge and encloses nothing more. A rectangle for each run
    # would make the path a third longer.
    strips = []
    for below, row in enumerate(rows, 1):
        if dark := row.strip("0"):
            steps = "".join(map(_STEPS.__getitem__, _RUN.findall(dark)))
            strips.append(f"M{row.index('1')} {below}{steps}z")
    return MatrixPath(len(rows), "".join(strips))
