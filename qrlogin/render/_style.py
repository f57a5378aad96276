"""What a styled picture may look like, and what no phone would read. It draws nothing and needs nothing installed."""

import re
import struct
from dataclasses import dataclass
from typing import Final, Literal

_MAX_LOGO_BYTES: Final = 256 * 1024
_MAX_LOGO_SIDE: Final = 1024  # pixels; unpacked that is 4 MB, whatever the file says of itself

# Of random pairs of colours, blurred or squeezed by JPEG, some with a contrast of up to 6.5 were not read by zbar or jsQR, which
# see brightness otherwise than WCAG does; none above. 7 is also what WCAG asks of text at its level AAA.
_MIN_CONTRAST: Final = 7
_COLOUR: Final = re.compile("#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """The look of a picture: `png(text, style=Style(modules="dots", dark="#1a237e"))`. Drawing it needs `qrlogin[qrcode]`.

    - `modules`: "square", "rounded" (neighbours run into each other) or "dots". The three corner squares are never dots.
    - `dark`, `light`: `#rgb` or `#rrggbb`. The modules are darker than their ground (many decoders cannot read the inverse), with
      a contrast of at least 7 to 1 as WCAG 2.2 counts it.
    - `logo`: the content of a PNG file of at most 256 KiB and 1024 pixels a side. It lies in the centre, on a square of `light`
      whose size and level of error correction follow from the length of the text: no more is hidden than can be repaired.

    Raises ValueError for anything else.
    """

    modules: Literal["square", "rounded", "dots"] = "square"
    dark: str = "#000"
    light: str = "#fff"
    logo: bytes | None = None

    def __post_init__(self) -> None:
        if self.modules not in ("square", "rounded", "dots"):
            raise ValueError('modules is "square", "rounded" or "dots"')
        dark, light = colour("dark", self.dark), colour("light", self.light)
        if _luminance(dark) > _luminance(light):
            raise ValueError(
                "dark is lighter than light, and many phones cannot read an inverted code: exchange the two"
            )
        if (ratio := (_luminance(light) + 0.05) / (_luminance(dark) + 0.05)) < _MIN_CONTRAST:
            raise ValueError(
                f"the contrast of dark to light is {ratio:.1f}, and a phone needs {_MIN_CONTRAST}: darken it or lighten the other"
            )
        if self.logo is not None:
            _check_logo(self.logo)

    def __repr__(self) -> str:
        logo = None if self.logo is None else f"<PNG of {len(self.logo)} bytes>"
        return f"Style(modules={self.modules!r}, dark={self.dark!r}, light={self.light!r}, logo={logo})"


def colour(name: str, value: str) -> Colour:
    """Red, green and blue, 0 to 255 each. Raises ValueError; `name` is what the message calls it."""
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise ValueError(f"{name} is a colour like #fff or #1a237e")
    digits = value[1:] if len(value) == 7 else "".join(digit * 2 for digit in value[1:])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _luminance(colour: Colour) -> float:
    """From 0 to 1, as WCAG 2.2 defines "relative luminance"."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (each / 255 for each in colour)
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
            f"the logo's file has {len(logo)} bytes, and at most {_MAX_LOGO_BYTES} fit: make it smaller"
        )
    width, height = struct.unpack(">2I", logo[16:24])
    if not (1 <= width <= _MAX_LOGO_SIDE and 1 <= height <= _MAX_LOGO_SIDE):
        raise ValueError(
            f"the logo is {width} by {height} pixels, and at most {_MAX_LOGO_SIDE} a side fit: make it smaller"
        )
