"""Draws modules as SVG, PNG, data URI and text: here are colours, pixels and file formats.

All forms are drawn from the same rows of modules, which are cached.
"""

import base64
import struct
import zlib
from typing import Final

from qrlogin.render._matrix import matrix_path, modules
from qrlogin.render._style import Style

_SCALE: Final = 8  # pixels per module: a usual login link is 360 pixels wide
_MAX_SCALE: Final = 50  # then the largest code is 9 250 pixels wide, 11 MB before compression

# One character shows two modules, one above the other. Black and white are numbers 16 and 231 of
# the 256 colours, which are fixed; themes change the first sixteen. The leading 0 resets bold,
# reverse etc.
_COLOURS: Final = "\x1b[0;38;5;16;48;5;231m"
_RESET: Final = "\x1b[0m"
_DARK_BLOCKS: Final = {("0", "0"): " ", ("1", "0"): "▀", ("0", "1"): "▄", ("1", "1"): "█"}
_LIGHT_BLOCKS: Final = {("1", "1"): " ", ("0", "1"): "▀", ("1", "0"): "▄", ("0", "0"): "█"}


def svg(text: str) -> str:
    """A complete `<svg>` element, to serve as `image/svg+xml` or to put into a page.

    CSS may resize it. It has no `style` and no script, so a strict Content-Security-Policy allows
    it. Its natural size is that of `png`. Raises ValueError if `text` is empty or too long.
    """
    outline = matrix_path(text)
    n, pixels = outline.size, outline.size * _SCALE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{pixels}" height="{pixels}" '
        f'viewBox="0 0 {n} {n}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{n}v{n}H0z"/>'
        f'<path fill="#000" d="{outline.path}"/></svg>'
    )


def png(text: str, *, scale: int = _SCALE, style: Style | None = None) -> bytes:
    """The content of a PNG file: black and white with one bit a pixel, or in colour with a style.

    A style takes 60 to 80 times as long, once: the last 256 styled pictures are cached. Under a
    logo a text of up to 106 bytes is 41 modules wide, and a longer one 73.

    Raises ValueError if `text` is empty or too long (under a logo: 258 bytes), if `scale` is out of
    bounds, or if the logo cannot be read or would mislead decoders. Raises ImportError if there is
    a style and `qrlogin[qrcode]` is not installed.

    :param text: what the code says
    :param scale: the width of a module in pixels: 1 to 50, with a style 4 to 20
    :param style: colours, the form of the modules, a logo; None for black squares on white
    """
    if style is not None:
        from qrlogin.render import _styled  # imports Pillow, which most applications do not need

        return _styled.png(text, scale, style)
    if not isinstance(scale, int) or not 1 <= scale <= _MAX_SCALE:
        raise ValueError(f"scale is a whole number of pixels per module, from 1 to {_MAX_SCALE}")
    rows = modules(text)
    size = len(rows) * scale
    padding = -size % 8
    # In a PNG of one grey bit, 1 is white. The leading 0 of a line: it is not filtered.
    light, dark = "1" * scale, "0" * scale
    pixels = " ".join(rows).replace("1", "-").replace("0", light).replace("-", dark)
    lines = b"".join(
        (b"\0" + (int(bits, 2) << padding).to_bytes((size + padding) // 8)) * scale
        for bits in pixels.split(" ")
    )
    header = struct.pack(">2I5B", size, size, 1, 0, 0, 0, 0)  # one bit, grey
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(lines, 4))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def data_uri(text: str, *, scale: int = _SCALE, style: Style | None = None) -> str:
    """The PNG of `png` as a `data:` URI for an `<img>`. Raises as `png` does.

    It is a PNG because that is a fifth of the size of the SVG, needs no escapes in an attribute,
    and is shown where SVG is not. A strict Content-Security-Policy forbids `data:` images: use
    `svg` or `matrix_path` there.

    :param text: what the code says
    :param scale: as in `png`
    :param style: as in `png`
    """
    return "data:image/png;base64," + base64.b64encode(png(text, scale=scale, style=style)).decode(
        "ascii"
    )


def terminal(text: str, *, ansi: bool = True) -> str:
    """Lines of half blocks to print, without a final line break. Raises ValueError as `svg` does.

    A usual login link takes 45 columns by 23 rows. Each line sets black on white and resets the
    colours, so the code is dark on light in every theme. The lines must touch: a terminal that adds
    space between lines breaks the code.

    :param text: what the code says
    :param ansi: set colours. False is for `NO_COLOR`, or an output that is not a terminal: the
        lines have only blocks and spaces, and are inverted on a light background, where some
        phones cannot read them
    """
    rows = modules(text)
    rows += ("0" * len(rows),)  # the number of rows is odd: fill the last line
    blocks, before, after = (_DARK_BLOCKS, _COLOURS, _RESET) if ansi else (_LIGHT_BLOCKS, "", "")
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(
        before + "".join(blocks[pair] for pair in zip(*two, strict=True)) + after for two in pairs
    )
