"""Draws a code in a style: the only place that knows qrcode and Pillow, loaded by the first picture that asks for a style.

It refuses to know which colours a phone can read: `_style.py` has decided that. It does know where a logo can lie.
"""

import io
import re
from collections.abc import Iterator
from typing import Final

from qrlogin.render._matrix import MASK, QUIET_ZONE, checked
from qrlogin.render._style import Style, colour

try:
    from PIL import Image, ImageOps
    from qrcode.constants import ERROR_CORRECT_L, ERROR_CORRECT_M, ERROR_CORRECT_Q
    from qrcode.image.styledpil import StyledPilImage
    from qrcode.image.styles.moduledrawers.pil import (
        CircleModuleDrawer,
        RoundedModuleDrawer,
        SquareModuleDrawer,
    )
    from qrcode.main import QRCode
except ImportError as missing:
    raise ImportError(
        "a styled picture needs qrcode and Pillow: pip install 'qrlogin[qrcode]'"
    ) from missing

# What draws the modules, and what draws the three corner squares: those are never dots, a decoder looks for them first.
_DRAWERS: Final = {
    "square": (SquareModuleDrawer, SquareModuleDrawer),
    "rounded": (RoundedModuleDrawer, RoundedModuleDrawer),
    "dots": (CircleModuleDrawer, RoundedModuleDrawer),
}
_MIN_SCALE: Final = 4  # pixels; in less there is no round
_MAX_SCALE: Final = (
    20  # the largest code is then 3 700 pixels wide, and takes 160 MB while it is drawn
)

# Where a logo can lie: bytes of text that fit, the version, its level, and the square to clear, in modules a side. Versions 7 to
# 13 have an alignment pattern in the very centre; zbar finds it in many a logo, in the wrong place, and then reads nothing.
# Version 6 has none there, version 14 has four around it. Codewords are repaired in blocks, and a square in the centre does not
# hide as many of each: the worst block loses at most two thirds of what it can repair. The rest is for glare, blur, and readers
# that see the modules around a logo less well. (6-L with a square of 7 would take 134 bytes: jsQR missed one picture in fifty.)
_ROOMS: Final = ((106, 6, ERROR_CORRECT_M, 9), (258, 14, ERROR_CORRECT_Q, 15))
_RIM: Final = 1  # modules of `light` on each side of the logo
_FINE: Final = 140  # pixels a side, at which the shape of a logo is judged, whatever the scale
_FIVE_RUNS: Final = re.compile(rb"(?<!\x01)(?=(\x01+)(\0+)(\x01+)(\0+)(\x01+))")  # \x01 is dark


def png(text: str, scale: int, style: Style) -> bytes:
    """As `render.png`, with the style."""
    content = checked(text)
    if not isinstance(scale, int) or not _MIN_SCALE <= scale <= _MAX_SCALE:
        raise ValueError(
            f"scale is a whole number of pixels per module, in a styled picture from {_MIN_SCALE} to {_MAX_SCALE}"
        )
    version, level, cleared = (
        _room(len(content)) if style.logo is not None else (None, ERROR_CORRECT_L, 0)
    )
    # Drawn at twice the size: at an odd one rounded modules would be a pixel too narrow.
    code = QRCode(version, level, border=QUIET_ZONE, mask_pattern=MASK, box_size=2 * scale)
    code.add_data(content, optimize=0)
    modules, corners = _DRAWERS[style.modules]
    drawn = code.make_image(
        image_factory=StyledPilImage, module_drawer=modules(), eye_drawer=corners()
    )
    size = (code.modules_count + 2 * QUIET_ZONE) * scale
    grey = drawn.get_image().convert("L").resize((size, size), Image.Resampling.BOX)
    # Coloured here: qrcode's own colouring visits every pixel in Python, and takes a second.
    picture = ImageOps.colorize(grey, colour("dark", style.dark), colour("light", style.light))
    if style.logo is not None:
        square = _square(style.logo, cleared * scale, _RIM * scale, style.light)
        corner = (size - square.width) // 2
        picture.paste(square, (corner, corner))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _room(length: int) -> tuple[int, int, int]:
    """Version, level and modules to clear for a text of so many bytes."""
    for most, version, level, cleared in _ROOMS:
        if length <= most:
            return version, level, cleared
    raise ValueError(
        f"under a logo a text has at most {_ROOMS[-1][0]} bytes, this one has {length}: use a shorter address"
    )


def _square(content: bytes, side: int, rim: int, light: str) -> Image.Image:
    """What covers the centre: the logo on a square of `light`. Raises ValueError for a logo that must not lie there."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            logo = image.convert("RGBA")
    except Exception as error:  # of a broken file Pillow says what its parser happened to fall over: any of eight types
        raise ValueError("the logo cannot be read: save it again as a plain PNG file") from error
    if _shows_corner(_on(light, logo, _FINE, 0)):
        raise ValueError(
            "the logo shows a corner square of a QR code, and readers take it for one: change that shape"
        )
    return _on(light, logo, side, rim)


def _on(light: str, logo: Image.Image, side: int, rim: int) -> Image.Image:
    fitted = ImageOps.contain(logo, (side - 2 * rim, side - 2 * rim), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (side, side), light)
    square.paste(fitted, ((side - fitted.width) // 2, (side - fitted.height) // 2), fitted)
    return square


def _shows_corner(picture: Image.Image) -> bool:
    """Whether somewhere, across and down, it is dark, light, dark, light, dark as 1:1:3:1:1: readers look for just that."""
    size, grey = picture.width, picture.convert("L").tobytes()
    middle = (min(grey) + max(grey)) / 2
    dark = bytes(value < middle for value in grey)
    for y in range(size):
        for across in _cores(dark[y * size : (y + 1) * size]):
            x = (across.start + across.stop) // 2
            if any(y in down for down in _cores(dark[x::size])):
                return True
    return False


def _cores(line: bytes) -> Iterator[range]:
    """Where the 3 of 1:1:3:1:1 lies. Of rings drawn wider or narrower none misled jsQR; this refuses some of them."""
    for found in _FIVE_RUNS.finditer(line):
        runs = [len(run) for run in found.groups()]
        if all(
            abs(7 * run / sum(runs) - wanted) < 0.4
            for run, wanted in zip(runs, (1, 1, 3, 1, 1), strict=True)
        ):
            yield range(*found.span(3))
