"""Draws a code in a style. Only this module knows qrcode and Pillow; the first style loads it.

`_style.py` has decided which colours a phone can read. This module decides where a logo can be.
"""

import io
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from qrlogin.render import _encoder
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

# The drawers of the modules and of the three corner squares. Those are never dots: decoders look
# for them first.
_DRAWERS: Final = {
    "square": (SquareModuleDrawer, SquareModuleDrawer),
    "rounded": (RoundedModuleDrawer, RoundedModuleDrawer),
    "dots": (CircleModuleDrawer, RoundedModuleDrawer),
}
_MIN_SCALE: Final = 4  # pixels; fewer show no round shape
_MAX_SCALE: Final = 20  # then the largest code is 3 700 pixels wide, and takes 160 MB to draw

# The codes that have room for a logo: the bytes of text that fit, the version, the level, and the
# square to clear, in modules a side. Versions 7 to 13 have an alignment pattern in the centre: zbar
# finds one in many a logo, in the wrong place, and then reads nothing. Version 6 has none there,
# and version 14 has four around it. Codewords are repaired in blocks, and a square in the centre
# hides different numbers of each: the worst block loses at most two thirds of what it can repair.
# The rest is for glare, for blur, and for decoders that read the modules around a logo less well.
# (6-L with a square of 7 would carry 134 bytes, but jsQR failed for one picture in fifty.)
_ROOMS: Final = ((106, 6, ERROR_CORRECT_M, 9), (258, 14, ERROR_CORRECT_Q, 15))
_RIM: Final = 1  # modules of `light` on each side of the logo
_FINE: Final = 140  # pixels a side: the size at which a logo is checked, at every scale
_FIVE_RUNS: Final = re.compile(rb"(?<!\x01)(?=(\x01+)(\0+)(\x01+)(\0+)(\x01+))")  # \x01 is dark


# A picture takes 60 to 80 times as long as one without style, and 3 to 30 KB: a full cache takes
# about 2 MB, and 60 MB with a colourful logo at the largest scale.
@lru_cache(maxsize=256)
def png(text: str, scale: int, style: Style) -> bytes:
    """The content of a PNG file. Raises as `render.png` does.

    :param text: what the code says
    :param scale: the width of a module in pixels
    :param style: the style
    """
    content = checked(text)
    if not isinstance(scale, int) or not _MIN_SCALE <= scale <= _MAX_SCALE:
        raise ValueError(
            "scale is a whole number of pixels per module, "
            f"in a styled picture from {_MIN_SCALE} to {_MAX_SCALE}"
        )
    version, level, cleared = _form(len(content), style)
    # Drawn at twice the size: at an odd size, rounded modules would be a pixel too narrow.
    code = QRCode(version, level, border=QUIET_ZONE, mask_pattern=MASK, box_size=2 * scale)
    code.add_data(content, optimize=0)
    modules, corners = _DRAWERS[style.modules]
    drawn = code.make_image(
        image_factory=StyledPilImage, module_drawer=modules(), eye_drawer=corners()
    )
    size = (code.modules_count + 2 * QUIET_ZONE) * scale
    grey = drawn.get_image().convert("L").resize((size, size), Image.Resampling.BOX)
    # Coloured here: qrcode colours every pixel in Python, which takes a second.
    picture = ImageOps.colorize(grey, colour("dark", style.dark), colour("light", style.light))
    if style.logo is not None:
        square = _square(style.logo, cleared * scale, _RIM * scale, style.light)
        corner = (size - square.width) // 2
        picture.paste(square, (corner, corner))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _form(length: int, style: Style) -> tuple[int | None, int, int]:
    """Version, level and modules to clear for a text of `length` bytes; None: the version follows
    from the text. Raises ValueError.
    """
    if style.logo is None:  # the modules of the picture without style
        return None, ERROR_CORRECT_M if length <= _encoder.MAX_BYTES else ERROR_CORRECT_L, 0
    for most, version, level, cleared in _ROOMS:
        if length <= most:
            return version, level, cleared
    raise ValueError(
        f"under a logo a text has at most {_ROOMS[-1][0]} bytes, this one has {length}: "
        "use a shorter address"
    )


def _square(content: bytes, side: int, rim: int, light: str) -> Image.Image:
    """The logo on a square of `light`. Raises ValueError if decoders would mistake it for a corner.

    :param content: the content of a PNG file
    :param side: of the square, in pixels
    :param rim: of light around the logo, in pixels
    :param light: the background
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            logo = image.convert("RGBA")
    except Exception as error:  # for a broken file, Pillow raises any of eight types
        raise ValueError("the logo cannot be read: save it again as a plain PNG file") from error
    if _shows_corner(_on(light, logo, _FINE, 0)):
        raise ValueError(
            "the logo shows a corner square of a QR code, and decoders take it for one: "
            "change that shape"
        )
    return _on(light, logo, side, rim)


def _on(light: str, logo: Image.Image, side: int, rim: int) -> Image.Image:
    fitted = ImageOps.contain(logo, (side - 2 * rim, side - 2 * rim), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (side, side), light)
    square.paste(fitted, ((side - fitted.width) // 2, (side - fitted.height) // 2), fitted)
    return square


def _shows_corner(picture: Image.Image) -> bool:
    """Whether it has a pattern that decoders take for a corner of a code.

    That is dark, light, dark, light, dark with widths of 1:1:3:1:1, across and down at one place.
    """
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
    """The pixels of the 3 in each 1:1:3:1:1 of this line.

    The tolerance also matches some wider and narrower rings, of which none misled jsQR.
    """
    for found in _FIVE_RUNS.finditer(line):
        runs = [len(run) for run in found.groups()]
        if all(
            abs(7 * run / sum(runs) - wanted) < 0.4
            for run, wanted in zip(runs, (1, 1, 3, 1, 1), strict=True)
        ):
            yield range(*found.span(3))
