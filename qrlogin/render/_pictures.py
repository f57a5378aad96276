"""Draws the modules as SVG, PNG, data URI and text. It knows colours, pixels and file formats, and no encoder.

segno has writers too, but they want segno's own object in the cache and in every other renderer's way, and its PNG takes
longer to write than the code takes to encode.
"""

import base64
import struct
import zlib
from typing import Final

from qrlogin.render._matrix import drawing
from qrlogin.render._style import Style

_SCALE: Final = 8  # pixels per module: a usual login link is 360 pixels wide
_MAX_SCALE: Final = (
    50  # the largest code is then 9 250 pixels wide and 11 MB of bits before compression
)

# Two modules, one above the other, are one character. Black and white are numbers 16 and 231 of the 256 colours: those
# two are fixed, while the first sixteen are whatever the theme made of them. The leading 0 ends bold, reverse and such.
_PAPER: Final = "\x1b[0;38;5;16;48;5;231m"
_RESET: Final = "\x1b[0m"
_INK: Final = {("0", "0"): " ", ("1", "0"): "▀", ("0", "1"): "▄", ("1", "1"): "█"}
_CHALK: Final = {("1", "1"): " ", ("0", "1"): "▀", ("1", "0"): "▄", ("0", "0"): "█"}


def svg(text: str) -> str:
    """A complete `<svg>` element, to serve as `image/svg+xml` or to put into a page as it is; CSS may resize it.

    It has no `style` and no script, so a strict Content-Security-Policy lets it pass. Natural size: as `png`.
    Raises ValueError if `text` is empty or too long.
    """
    outline = drawing(text).outline
    n = outline.size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{n * _SCALE}" height="{n * _SCALE}" viewBox="0 0 {n} {n}" '
        f'shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{n}v{n}H0z"/>'
        f'<path fill="#000" d="{outline.path}"/></svg>'
    )


def png(text: str, *, scale: int = _SCALE, style: Style | None = None) -> bytes:
    """A PNG file in black and white, one bit a pixel. `scale` is the width of a module in pixels, 1 to 50.

    With a `style` it is a PNG file in colour, `scale` is from 4 to 20, and drawing takes ten to twenty times as long, each time.
    Under a logo a text of up to 106 bytes is 41 modules wide, a longer one 73.

    Raises ValueError if `text` is empty or too long (under a logo: 258 bytes), `scale` is out of bounds, or the logo cannot be
    read or would mislead readers; ImportError if there is a style and `qrlogin[qrcode]` is not installed.
    """
    if style is not None:
        from qrlogin.render import _styled  # with it comes Pillow, which few want

        return _styled.png(text, scale, style)
    if not isinstance(scale, int) or not 1 <= scale <= _MAX_SCALE:
        raise ValueError(f"scale is a whole number of pixels per module, from 1 to {_MAX_SCALE}")
    rows = drawing(text).rows
    size = len(rows) * scale
    padding = -size % 8
    pixels = {ord("0"): "1" * scale, ord("1"): "0" * scale}  # in a PNG of one grey bit, 1 is white
    lines = bytearray()
    for row in rows:
        bits = int(row.translate(pixels), 2) << padding
        lines += (
            b"\0" + bits.to_bytes((size + padding) // 8)
        ) * scale  # the leading 0: an unfiltered line
    header = struct.pack(">2I5B", size, size, 1, 0, 0, 0, 0)  # one bit, grey
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(lines))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def data_uri(text: str, *, scale: int = _SCALE, style: Style | None = None) -> str:
    """The PNG as a `data:` URI for an `<img>`. Raises as `png` does.

    PNG and not SVG: it is a fifth of the size, needs no escaping inside an attribute, and is shown where SVG is not.
    A strict Content-Security-Policy forbids `data:` images: use `svg` or `matrix_path` there.
    """
    return "data:image/png;base64," + base64.b64encode(png(text, scale=scale, style=style)).decode(
        "ascii"
    )


def terminal(text: str, *, ansi: bool = True) -> str:
    """Lines of half blocks to print; no line break at the end. A usual login link is 45 columns by 23 rows.

    Each line sets black on white and resets, so the code is the right way round whatever colours the terminal has.
    With `ansi=False`, for `NO_COLOR` or an output that is no terminal, there are only blocks and spaces: right for
    light text on a dark ground, inverted on a light one, where some phones will not read it. The lines must touch: where
    a terminal adds space between them and takes blocks from its font, the code falls apart.
    Raises ValueError if `text` is empty or too long.
    """
    rows = drawing(text).rows
    rows += ("0" * len(rows),)  # their number is odd, always: half a line more of quiet zone
    blocks, before, after = (_INK, _PAPER, _RESET) if ansi else (_CHALK, "", "")
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(
        before + "".join(blocks[pair] for pair in zip(*two, strict=True)) + after for two in pairs
    )
