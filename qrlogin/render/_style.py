"""The styles that phones can read. This module draws nothing, and needs no extra."""

import re
import struct
from dataclasses import dataclass
from typing import Final, Literal

_MAX_LOGO_BYTES: Final = 256 * 1024
_MAX_LOGO_SIDE: Final = 1024  # pixels; a logo takes at most 4 MB in memory

# Measured with random pairs of colours, blurred or compressed as JPEG: zbar and jsQR, which compute
# brightness in other ways than WCAG, failed for some pairs with a contrast of up to 6.5, and for no
# pair above. 7 is also what WCAG level AAA requires of text.
_MIN_CONTRAST: Final = 7
_COLOUR: Final = re.compile("#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """The look of a picture: `png(text, style=Style(modules="dots", dark="#1a237e"))`.

    Drawing it needs `qrlogin[qrcode]`. Raises ValueError for a style that phones cannot read.
    """

    modules: Literal["square", "rounded", "dots"] = "square"
    """The form of the modules. Rounded neighbours join. The three corner squares are never dots."""
    dark: str = "#000"
    """The colour of the modules, `#rgb` or `#rrggbb`. It must be darker than `light`."""
    light: str = "#fff"
    """The background. The contrast to `dark` is at least 7 to 1, as WCAG 2.2 defines it."""
    logo: bytes | None = None
    """The content of a PNG file of at most 256 KiB and 1024 pixels a side.

    It is drawn in the centre, on a square of `light`. The length of the text decides the size of
    the square and the level of error correction, so that it hides no more than can be repaired.
    """

    def __post_init__(self) -> None:
        if self.modules not in ("square", "rounded", "dots"):
            raise ValueError('modules is "square", "rounded" or "dots"')
        dark, light = colour("dark", self.dark), colour("light", self.light)
        if _luminance(dark) > _luminance(light):
            raise ValueError(
                "dark is lighter than light, and many phones cannot read an inverted code: "
                "exchange the two"
            )
        if (ratio := (_luminance(light) + 0.05) / (_luminance(dark) + 0.05)) < _MIN_CONTRAST:
            raise ValueError(
                f"the contrast of dark to light is {ratio:.1f}, and a phone needs {_MIN_CONTRAST}: "
                "darken dark or lighten light"
            )
        if self.logo is not None:
            _check_logo(self.logo)

    def __repr__(self) -> str:
        logo = None if self.logo is None else f"<PNG of {len(self.logo)} bytes>"
        colours = f"dark={self.dark!r}, light={self.light!r}"
        return f"Style(modules={self.modules!r}, {colours}, logo={logo})"


def colour(name: str, value: str) -> Colour:
    """Red, green and blue, 0 to 255 each. Raises ValueError, with `name` in the message."""
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise ValueError(f"{name} is a colour like #fff or #1a237e")
    digits = value[1:] if len(value) == 7 else "".join(digit * 2 for digit in value[1:])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _luminance(colour: Colour) -> float:
    """The relative luminance of WCAG 2.2, from 0 to 1."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (component / 255 for component in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _check_logo(logo: bytes) -> None:
    if (
        not isinstance(logo, bytes)
        or not logo.startswith(b"\x89PNG\r\n\x1a\n")
        or logo[12:16] != b"IHDR"
        or len(logo) < 33
    ):
        raise ValueError("logo is the content of a PNG file, as bytes")
    if len(logo) > _MAX_LOGO_BYTES:
        raise ValueError(
            f"the logo's file has {len(logo)} bytes, and at most {_MAX_LOGO_BYTES} are allowed: "
            "make it smaller"
        )
    width, height = struct.unpack(">2I", logo[16:24])
    if not (1 <= width <= _MAX_LOGO_SIDE and 1 <= height <= _MAX_LOGO_SIDE):
        raise ValueError(
            f"the logo is {width} by {height} pixels, and at most {_MAX_LOGO_SIDE} a side are "
            "allowed: make it smaller"
        )
