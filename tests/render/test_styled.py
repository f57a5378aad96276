"""Three decoders read every style back. A style that one of them cannot read is refused."""

import base64
import io
import itertools
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from qrcode import base
from qrcode.constants import ERROR_CORRECT_Q

from qrlogin import render
from qrlogin.render import Style, _styled
from tests.render import decoders, logos, readers
from tests.tables import for_each_row

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
MODULES = ("square", "rounded", "dots")
COLOURS = (
    ("#000", "#fff"),
    ("#1a237e", "#fff8e1"),
    ("#595959", "#fff"),
)  # the last is the weakest that may be
LENGTHS = (40, 60, 80, 103, 109, 134, 160)  # of dialects and of logins: versions 3 to 8
UNDER_LOGOS = (60, 106, 109, 160, 258)  # both ends of each size of logo


@pytest.fixture(autouse=True)
def _no_picture_of_another_test() -> None:
    """Two tests turn a check off, and what they draw must not be cached for the others."""
    _styled.png.cache_clear()


def link(length: int) -> str:
    """A login link of this length, as random as a real one, and always the same."""
    head = "https://login.example.com/qr/"
    return head + "".join(random.Random(length).choices(LETTERS, k=length - len(head)))


def picture(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return image.convert("RGB")


def styled(
    length: int, modules: str, colours: tuple[str, str], logo: str | None = None
) -> Image.Image:
    dark, light = colours
    style = Style(modules, dark, light, logos.LOGOS[logo] if logo else None)  # type: ignore[arg-type]
    return picture(render.png(link(length), style=style))


def check_all_read(
    cases: Sequence[tuple[int, str, tuple[str, str], str | None]], folder: Path
) -> None:
    seen = [
        (case, how, view) for case in cases for how, view in decoders.views(styled(*case)).items()
    ]
    found = decoders.read((view for _, _, view in seen), folder)
    unread = {
        (case, how): read
        for (case, how, _), read in zip(seen, found, strict=True)
        if read != decoders.all_read(link(case[0]))
    }
    assert not unread


@pytest.mark.long
@pytest.mark.parametrize(
    "modules",
    [pytest.param(each, marks=[pytest.mark.matrix] * (each != "rounded")) for each in MODULES],
)
def test_three_decoders_read_every_style_without_a_logo(modules: str, tmp_path: Path) -> None:
    check_all_read(
        [(length, modules, colours, None) for length in LENGTHS for colours in COLOURS], tmp_path
    )


@pytest.mark.matrix
@pytest.mark.parametrize("modules", MODULES)
def test_three_decoders_read_every_style_with_a_logo(modules: str, tmp_path: Path) -> None:
    """Every logo at every length in each form of module. The colours take turns: any two meet."""
    pairs = itertools.product(logos.LOGOS, UNDER_LOGOS)
    turn = MODULES.index(modules)
    cases = [
        (length, modules, COLOURS[(turn + number) % 3], logo)
        for number, (logo, length) in enumerate(pairs)
    ]
    check_all_read(cases, tmp_path)


def test_the_decoders_find_nothing_in_an_empty_picture(tmp_path: Path) -> None:
    assert list(decoders.read([Image.new("RGB", (200, 200), "white")], tmp_path)) == [
        {"zxing": [], "jsqr": [], "zbar": []}
    ]


def test_zbar_cannot_read_a_logo_on_an_alignment_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_styled, "_ROOMS", ((258, 8, ERROR_CORRECT_Q, 11),))
    image = styled(103, "square", COLOURS[0], "disc")
    assert list(decoders.read([image], tmp_path)) == [decoders.all_read(link(103)) | {"zbar": []}]


def test_jsqr_cannot_read_a_logo_that_looks_like_a_corner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_styled, "_shows_corner", lambda square: False)
    image = decoders.views(picture(render.png(link(103), style=Style(logo=logos.corner()))))[
        "askew"
    ]
    assert list(decoders.read([image], tmp_path)) == [decoders.all_read(link(103)) | {"jsqr": []}]


@pytest.mark.parametrize("round_", [False, True])
def test_a_logo_that_is_somewhat_like_a_corner_is_refused_or_read(
    round_: bool, tmp_path: Path
) -> None:
    images: list[Image.Image] = []
    refused = 0
    for gap, dot in itertools.product((0.7, 0.9, 1, 1.1, 1.4), (2, 2.5, 2.9, 3, 3.1, 3.5, 4.5)):
        try:
            png = render.png(
                link(103), style=Style(logo=logos.corner(round_=round_, gap=gap, dot=dot))
            )
        except ValueError as error:
            assert "shows a corner square" in str(error)  # noqa: PT017
            refused += 1
        else:
            images += decoders.views(picture(png)).values()
    assert refused
    assert images
    assert list(decoders.read(images, tmp_path)) == [decoders.all_read(link(103))] * len(images)


@pytest.mark.parametrize(
    "logo",
    [
        pytest.param(logos.corner(), id="a corner"),
        pytest.param(logos.corner(round_=True), id="a round one"),
        pytest.param(logos.corner(size=100, at=(90, 10)), id="a small one aside"),
        pytest.param(render.png("hello"), id="a code"),
    ],
)
def test_a_logo_that_shows_a_corner_is_refused_at_every_scale(logo: bytes) -> None:
    for scale in (4, 7, 20):
        with pytest.raises(ValueError, match="shows a corner square"):
            render.png("x", scale=scale, style=Style(logo=logo))


ALIGNMENTS = {6: (6, 34), 14: (6, 26, 46, 66)}


def is_function(x: int, y: int, version: int) -> bool:
    """Whether the module carries no codeword: ISO/IEC 18004, 6.3 and 7.9 to 7.10."""
    size, aligned = 17 + 4 * version, ALIGNMENTS[version]
    corner = (x < 9 and y < 9) or (x < 9 and y > size - 9) or (x > size - 9 and y < 9)
    number = version > 6 and ((x < 6 and y > size - 12) or (x > size - 12 and y < 6))
    marks = set(itertools.product(aligned, aligned)) - {(6, 6), (6, aligned[-1]), (aligned[-1], 6)}
    return (
        6 in (x, y)
        or corner
        or number
        or any(abs(x - a) <= 2 and abs(y - b) <= 2 for a, b in marks)
    )


def places(version: int) -> Iterator[tuple[int, int]]:
    """The modules of the bits, in order: up and down in columns of two, from the right, 7.7.3."""
    size = 17 + 4 * version
    rights = [*range(size - 1, 7, -2), 5, 3, 1]
    for number, right in enumerate(rights):
        for y in range(size) if number % 2 else reversed(range(size)):
            yield from ((x, y) for x in (right, right - 1) if not is_function(x, y, version))


@pytest.mark.parametrize(("version", "level", "cleared"), [room[1:] for room in _styled._ROOMS])
def test_a_logo_hides_at_most_two_thirds_of_what_any_block_can_repair(
    version: int, level: int, cleared: int
) -> None:
    blocks = base.rs_blocks(version, level)
    data = [block.data_count for block in blocks]
    checks = [block.total_count - block.data_count for block in blocks]
    # The blocks take codewords in turn, first those of data, then those of error correction: 7.6.
    owners = [
        block
        for counts in (data, checks)
        for turn in range(max(counts))
        for block, count in enumerate(counts)
        if turn < count
    ]
    low = (17 + 4 * version - cleared) // 2
    where = list(places(version))
    assert len(where) // 8 == len(owners)
    hidden = {
        at // 8
        for at, (x, y) in enumerate(where)
        if low <= x < low + cleared and low <= y < low + cleared
    }
    lost = [
        sum(owners[each] == block for each in hidden if each < len(owners))
        for block in range(len(blocks))
    ]
    assert max(lost) > 0
    assert all(3 * gone <= 2 * (count // 2) for gone, count in zip(lost, checks, strict=True))


@pytest.mark.parametrize(
    ("length", "size", "level", "logo"),
    [(40, 41, "M", 7), (106, 41, "M", 7), (107, 73, "Q", 13), (258, 73, "Q", 13)],
)
def test_a_logo_is_centred_and_as_large_as_the_length_of_the_text_allows(
    length: int, size: int, level: str, logo: int
) -> None:
    # Blue modules and a red logo: a pixel without blue belongs to the logo.
    red = logos.png_of(Image.new("RGB", (300, 100), "#f00"))
    image = picture(render.png(link(length), style=Style(dark="#00f", light="#fff8e1", logo=red)))
    assert image.size == ((size + 8) * 8,) * 2
    assert zxingcpp.read_barcodes(image.convert("L"))[0].ec_level == level
    box = image.split()[2].point([255] * 128 + [0] * 128).getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert (right - left, bottom - top) == (logo * 8, round(logo * 8 / 3))
    assert (left + right, top + bottom) == pytest.approx(image.size, abs=1)
    # The rest of its square, and one module more, is bare.
    image.paste("#fff8e1", box)
    edge = (image.width - logo * 8) // 2 - 8
    bare = image.crop((edge, edge, image.width - edge, image.height - edge))
    assert bare.getcolors() == [(bare.width * bare.height, (0xFF, 0xF8, 0xE1))]


@for_each_row("scale", [4, 7, 20])
@for_each_row("modules", MODULES)
def test_the_quiet_zone_stays_and_the_middle_of_each_module_has_its_colour(
    modules: str, scale: int
) -> None:
    style = Style(modules=modules, dark="#1a237e", light="#fff8e1")  # type: ignore[arg-type]
    image = picture(render.png(link(105), scale=scale, style=style))
    size, rest = divmod(image.width, scale)
    assert (image.height, rest) == (image.width, 0)
    dark, light = (0x1A, 0x23, 0x7E), (0xFF, 0xF8, 0xE1)
    for x, y in itertools.product(range(size), repeat=2):
        seen = image.getpixel((x * scale + scale // 2, y * scale + scale // 2))
        assert isinstance(seen, tuple)
        # A small round module has a soft edge up to its middle.
        assert (
            min(
                max(abs(a - b) for a, b in zip(seen, colour, strict=True))
                for colour in (dark, light)
            )
            <= 4
        )
    edge = 4 * scale
    inside = image.crop((edge, edge, image.width - edge, image.height - edge))
    bare = Image.new("RGB", image.size, "#fff8e1")
    bare.paste(inside, (edge, edge))
    assert bare.tobytes() == image.tobytes()


def test_rounded_modules_run_into_each_other_without_a_gap_at_any_scale() -> None:
    for scale in (5, 8):
        image = picture(render.png(link(105), scale=scale, style=Style("rounded")))
        timing = image.crop(
            (4 * scale, 4 * scale, 11 * scale, 5 * scale)
        )  # the upper edge of a corner: seven dark modules
        assert timing.crop((scale, 0, 6 * scale, scale)).getcolors() == [
            (5 * scale * scale, (0, 0, 0))
        ]


@for_each_row(
    "wrong, message",
    [
        ({"modules": "stars"}, "square"),
        ({"dark": "black"}, "dark is a colour like"),
        ({"light": "#ffff"}, "light is a colour like"),
        ({"dark": None}, "dark is a colour like"),
        ({"dark": "#fff", "light": "#000"}, "exchange the two"),
        ({"dark": "#777"}, "contrast of dark to light is 4.5, and a phone needs 7: darken dark"),
        ({"dark": "#5a5a5a"}, "darken dark"),
        ({"dark": "#000", "light": "#000"}, "is 1.0"),
        ({"logo": "logo.png"}, "content of a PNG file"),
        ({"logo": b""}, "content of a PNG file"),
        ({"logo": b"GIF89a" + bytes(40)}, "content of a PNG file"),
        ({"logo": logos.square() + bytes(256 * 1024)}, "at most 262144 are allowed"),
        ({"logo": logos.png_of(Image.new("1", (1025, 1)))}, "1025 by 1 pixels"),
        (
            {"logo": b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s2I", 13, b"IHDR", 0, 5) + bytes(40)},
            "0 by 5 pixels",
        ),
    ],
)
def test_a_style_that_phones_cannot_read_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Style(**wrong)  # type: ignore[arg-type]


def test_a_broken_logo_is_refused_when_it_is_drawn() -> None:
    whole = logos.disc()
    dice = random.Random(4)
    refused = 0
    for cut in range(33, len(whole) - 20, 40):
        with pytest.raises(ValueError, match="the logo cannot be read"):
            render.png("x", style=Style(logo=whole[:cut]))
    for _ in range(30):
        spoilt = bytearray(whole)
        spoilt[dice.randrange(33, len(whole))] ^= 1 << dice.randrange(8)
        try:
            render.png("x", style=Style(logo=bytes(spoilt)))
        except ValueError as error:
            assert "the logo cannot be read" in str(error)  # noqa: PT017
            refused += 1
    assert refused


def test_a_logo_that_is_a_decompression_bomb_is_not_unpacked() -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    header = chunk(b"IHDR", struct.pack(">2I5B", 8, 8, 8, 0, 0, 0, 0))
    comment = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9))
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + header
        + comment
        + chunk(b"IDAT", zlib.compress(bytes(72)))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(ValueError, match="the logo cannot be read"):
        render.png("x", style=Style(logo=bomb))


def test_a_text_too_long_for_a_logo_is_refused_and_not_quoted() -> None:
    with pytest.raises(
        ValueError, match="under a logo a text has at most 258 bytes, this one has 259"
    ) as refused:
        render.png("s" * 259, style=Style(logo=logos.square()))
    assert "sss" not in str(refused.value)
    with pytest.raises(ValueError, match="at least one character"):
        render.png("", style=Style())


def test_a_style_without_a_logo_does_not_limit_the_text() -> None:
    longest = "s" * 2953
    assert readers.decode(picture(render.png(longest, scale=4, style=Style()))) == [
        longest.encode()
    ]
    with pytest.raises(ValueError, match="at most 2953 bytes"):
        render.png(longest + "s", style=Style())


@pytest.mark.parametrize("scale", [3, 21, 8.0, "8", None])
def test_a_scale_out_of_bounds_is_refused(scale: object) -> None:
    with pytest.raises(ValueError, match="from 4 to 20"):
        render.png("x", scale=scale, style=Style())  # type: ignore[arg-type]


def test_a_data_uri_holds_the_styled_png_and_the_same_style_is_the_same_picture() -> None:
    style = Style(modules="dots", dark="#123", logo=logos.letter())
    png = render.png("x", scale=5, style=style)
    assert base64.b64decode(render.data_uri("x", scale=5, style=style).partition(",")[2]) == png
    assert render.png("x", scale=5, style=Style("dots", "#112233", logo=logos.letter())) == png
    assert render.png("x", scale=5) != png


def test_a_style_without_a_logo_shows_the_modules_of_the_plain_picture() -> None:
    for length in (84, 331):
        text = link(length)
        assert picture(render.png(text, style=Style())) == picture(render.png(text))


def test_a_styled_picture_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text, style = link(77), Style("dots", logo=logos.letter())
    first = render.png(text, style=style)
    monkeypatch.setattr(_styled, "QRCode", None)
    assert render.png(text, style=Style("dots", logo=logos.letter())) is first
    with pytest.raises(TypeError):
        render.png(text, scale=9, style=style)


def test_the_repr_of_a_style_does_not_contain_its_logo() -> None:
    content = logos.square()
    assert (
        repr(Style(logo=content))
        == f"Style(modules='square', dark='#000', light='#fff', logo=<PNG of {len(content)} bytes>)"
    )


@pytest.mark.parametrize("absent", ["qrcode", "PIL"])
def test_without_the_extra_a_style_is_refused_and_plain_pictures_are_drawn(
    absent: str,
) -> None:
    script = f"""
import sys
sys.modules[{absent!r}] = None
from qrlogin import render
assert render.png("x")
style = render.Style(dark="#123")
assert not {{"qrcode.main", "PIL.Image"}} & set(sys.modules)
try:
    render.png("x", style=style)
except ImportError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout == "a styled picture needs qrcode and Pillow: pip install 'qrlogin[qrcode]'\n"
