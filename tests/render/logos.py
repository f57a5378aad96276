"""Logos that are hard on decoders: rings, noise, and what looks like a part of a code."""

import io
import random

from PIL import Image, ImageDraw, ImageFont

SIDE = 200


def png_of(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def canvas(colour: str | None = None) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGBA", (SIDE, SIDE), colour or (0, 0, 0, 0))
    return image, ImageDraw.Draw(image)


def square() -> bytes:
    return png_of(canvas("#000")[0])


def wide() -> bytes:
    return png_of(Image.new("RGB", (300, 100), "#1565c0"))


def disc() -> bytes:
    image, draw = canvas()
    draw.ellipse((0, 0, 199, 199), fill="#c62828")
    draw.rectangle((70, 40, 130, 160), fill="#fff")
    return png_of(image)


def ring() -> bytes:
    image, draw = canvas()
    draw.ellipse((0, 0, 199, 199), outline="#000", width=30)
    return png_of(image)


def rings() -> bytes:
    image, draw = canvas()
    for edge in range(0, 100, 25):
        draw.ellipse((edge, edge, 199 - edge, 199 - edge), outline="#1a237e", width=12)
    return png_of(image)


def letter() -> bytes:
    image, draw = canvas()
    draw.text((100, 100), "Q", fill="#000", font=ImageFont.load_default(200), anchor="mm")
    return png_of(image)


def photo() -> bytes:
    """Soft blotches of every colour."""
    return png_of(
        Image.frombytes("RGB", (50, 50), random.Random(3).randbytes(7500)).resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC
        )
    )


def modules() -> bytes:
    """As similar to the modules of a code as possible."""
    dice = random.Random(4)
    bits = Image.frombytes("L", (9, 9), bytes(dice.choice((0, 255)) for _ in range(81)))
    return png_of(bits.resize((SIDE, SIDE), Image.Resampling.NEAREST))


def stripes() -> bytes:
    """Like a corner of a code across, and not down."""
    image, draw = canvas()
    for left, right in ((0, 29), (60, 149), (180, 209)):
        draw.rectangle((left * SIDE // 210, 0, right * SIDE // 210, SIDE), fill="#000")
    return png_of(image)


def alignment() -> bytes:
    """An alignment pattern: a dot in a frame, 1:1:1:1:1."""
    return png_of(_framed(1, 1, round_=False))


def corner(
    *,
    round_: bool = False,
    gap: float = 1,
    dot: float = 3,
    at: tuple[int, int] = (0, 0),
    size: int = SIDE,
) -> bytes:
    """Looks like a corner of a code, 1:1:3:1:1, or somewhat like it with another `gap` or `dot`."""
    image, _ = canvas("#fff")
    image.paste(_framed(gap, dot, round_=round_).resize((size, size), Image.Resampling.BOX), at)
    return png_of(image)


def _framed(gap: float, dot: float, *, round_: bool) -> Image.Image:
    image = Image.new("RGB", (420, 420), "#fff")
    draw = ImageDraw.Draw(image)
    shape = draw.ellipse if round_ else draw.rectangle
    unit = 420 / (2 + 2 * gap + dot)
    for edge, colour in ((0.0, "#000"), (unit, "#fff"), (unit + gap * unit, "#000")):
        shape((edge, edge, 419 - edge, 419 - edge), fill=colour)
    return image


LOGOS = {
    draw.__name__: draw()
    for draw in (square, wide, disc, ring, rings, letter, photo, modules, stripes, alignment)
}
