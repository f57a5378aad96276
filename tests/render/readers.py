"""Reads the pictures back into rows of modules ("1" is dark), by the rules of each format.

It uses nothing of `qrlogin.render`. A real decoder reads what a camera would see.
"""

import io
import re
from dataclasses import dataclass

import zxingcpp
from PIL import Image

Rows = tuple[str, ...]
Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Theme:
    """The colours of a terminal: text, background, and one for its first sixteen colours."""

    ink: Colour
    ground: Colour
    sixteen: Colour = (200, 60, 60)  # red: a picture must not use them, because themes change them


DARK = Theme(ink=(220, 220, 220), ground=(30, 30, 30))
LIGHT = Theme(ink=(60, 70, 80), ground=(253, 246, 227))


def decode(image: Image.Image) -> list[bytes]:
    """What a decoder that cannot read inverted codes finds in the picture.

    It reads only QR codes: in random modules it would find a bar code once in thousands of
    pictures.
    """
    found = zxingcpp.read_barcodes(
        image.convert("L"), formats=zxingcpp.barcode_formats_from_str("QRCode"), try_invert=False
    )
    return [code.bytes for code in found]


def rows_of_path(size: int, path: str, *, fill_rule: str) -> Rows:
    """Fills the path as SVG does: the edges left of a module's centre decide if it is dark."""
    edges: list[tuple[int, int, int]] = []  # x, the row it passes, +1 downwards or -1 upwards
    x = y = start_x = start_y = 0

    def vertical(to: int) -> None:
        edges.extend((x, row, 1) for row in range(y, to))
        edges.extend((x, row, -1) for row in range(to, y))

    commands = re.findall(r"([A-Za-z])([-0-9. ]*)", path)
    assert "".join(letter + numbers for letter, numbers in commands) == path
    for letter, numbers in commands:
        match letter, [int(number) for number in numbers.split()]:
            case "M", [x, y]:
                start_x, start_y = x, y
            case "h", [dx]:
                x += dx
            case "v", [dy]:
                vertical(y + dy)
                y += dy
            case "z", []:
                # Otherwise the closing line would be slanted.
                assert y == start_y
                x, y = start_x, start_y
            case other:
                raise AssertionError(f"not a command that a strip needs: {other}")

    wound = [[0] * (size + 1) for _ in range(size)]
    for edge_x, row, direction in edges:
        wound[row][edge_x] += direction if fill_rule == "nonzero" else 1
    rows = []
    for changes in wound:
        inside, row_of_modules = 0, ""
        for change in changes[:size]:
            inside += change
            dark = inside != 0 if fill_rule == "nonzero" else inside % 2 == 1
            row_of_modules += "1" if dark else "0"
        rows.append(row_of_modules)
    return tuple(rows)


def rows_of_png(png: bytes, *, scale: int) -> Rows:
    """The modules of a PNG. Fails if a module is not one square of black or white."""
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert image.mode == "1", "one bit a pixel"
    return _rows_of_image(image.convert("RGB"), scale)


def rows_of_terminal(printed: str, theme: Theme) -> Rows:
    """What the terminal shows, two modules to a character."""
    return _rows_of_image(screen(printed, theme), 1)


def screen(printed: str, theme: Theme) -> Image.Image:
    """A terminal as a picture: a pixel is half a character. Every line must reset its colours."""
    lines = [_cells(line, theme) for line in printed.split("\n")]
    image = Image.new("RGB", (max(map(len, lines)), 2 * len(lines)), theme.ground)
    for number, cells in enumerate(lines):
        for column, (upper, lower) in enumerate(cells):
            image.putpixel((column, 2 * number), upper)
            image.putpixel((column, 2 * number + 1), lower)
    return image


def photographed(image: Image.Image, ground: Colour, zoom: int = 4) -> Image.Image:
    """The picture, enlarged, in front of a background."""
    image = image.convert("RGB").resize(
        (image.width * zoom, image.height * zoom), Image.Resampling.NEAREST
    )
    around = Image.new("RGB", (image.width + 60, image.height + 60), ground)
    around.paste(image, (30, 30))
    return around


def _cells(line: str, theme: Theme) -> list[tuple[Colour, Colour]]:
    ink, ground = theme.ink, theme.ground
    cells = []
    for codes, character in re.findall("\x1b\\[([0-9;]*)m|(.)", line):
        if character:
            upper, lower = {
                " ": (False, False),
                "▀": (True, False),
                "▄": (False, True),
                "█": (True, True),
            }[character]
            cells.append((ink if upper else ground, ink if lower else ground))
            continue
        numbers = [int(code or 0) for code in codes.split(";")]
        while numbers:
            match numbers:
                case [0, *numbers]:
                    ink, ground = theme.ink, theme.ground
                case [38, 5, colour, *numbers]:
                    ink = _of_256(colour, theme)
                case [48, 5, colour, *numbers]:
                    ground = _of_256(colour, theme)
                case [30 | 37 | 90 | 97, *numbers]:
                    ink = theme.sixteen
                case [40 | 47 | 100 | 107, *numbers]:
                    ground = theme.sixteen
                case other:
                    raise AssertionError(f"an escape that this terminal does not know: {other}")
    assert (ink, ground) == (theme.ink, theme.ground), "the line's colours run into the next one"
    return cells


def _of_256(colour: int, theme: Theme) -> Colour:
    """xterm's palette: 16 the theme may redefine, a cube of 6 x 6 x 6, and greys."""
    if colour < 16:
        return theme.sixteen
    if colour >= 232:
        return (8 + 10 * (colour - 232),) * 3
    steps = (0, 95, 135, 175, 215, 255)
    red, rest = divmod(colour - 16, 36)
    return steps[red], steps[rest // 6], steps[rest % 6]


def _rows_of_image(image: Image.Image, scale: int) -> Rows:
    assert image.width % scale == image.height % scale == 0
    modules: dict[object, str] = {BLACK: "1", WHITE: "0"}
    rows = []
    for top in range(0, image.height, scale):
        row = ""
        for left in range(0, image.width, scale):
            colours = image.crop((left, top, left + scale, top + scale)).getcolors()
            assert colours is not None
            assert len(colours) == 1, "a module has two colours"
            row += modules[colours[0][1]]
        rows.append(row)
    return tuple(rows)
