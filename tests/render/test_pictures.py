"""Every form shows the same modules, and a real decoder reads the text back from each of them."""

import base64
import io
import re
from xml.etree import ElementTree

import pytest
import zxingcpp
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from qrlogin import render
from tests.render import readers

CODE_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
LINK = (
    "https://login.example.com/qr/" + CODE_LETTERS[:55]
)  # 84 characters, as long as a usual login link

links = st.builds(
    "{}://{}/{}/{}".format,
    st.sampled_from(["https", "http"]),
    st.from_regex(r"[a-z][a-z0-9-]{0,30}\.example(:[1-9][0-9]{0,3})?", fullmatch=True),
    st.sampled_from(["qr", "login/qr", "l"]),
    st.text(CODE_LETTERS, min_size=20, max_size=120),
)
texts = st.one_of(
    links, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)
)


def rows_of_svg(svg: str) -> readers.Rows:
    """The drawing of an SVG file: a light ground as large as the view, and one dark path on it."""
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    size = int(root.attrib["viewBox"].split()[-1])
    assert root.attrib["viewBox"] == f"0 0 {size} {size}"
    ground, ink = root
    assert (ground.attrib["fill"], ground.attrib["d"]) == ("#fff", f"M0 0h{size}v{size}H0z")
    assert set(ink.attrib) == {"fill", "d"}
    assert ink.attrib["fill"] == "#000"
    return readers.rows_of_path(size, ink.attrib["d"], fill_rule="nonzero")


@pytest.mark.long
@given(texts)
@example(LINK)
@example("7" * 40)
def test_all_forms_show_the_same_modules_and_are_read_back(text: str) -> None:
    outline = render.matrix_path(text)
    rows = readers.rows_of_path(outline.size, outline.path, fill_rule="nonzero")
    assert len(rows) == outline.size

    assert readers.rows_of_path(outline.size, outline.path, fill_rule="evenodd") == rows
    assert rows_of_svg(render.svg(text)) == rows
    assert readers.rows_of_png(render.png(text), scale=8) == rows
    assert readers.rows_of_png(render.png(text, scale=1), scale=1) == rows
    padded = (*rows, "0" * outline.size)  # a terminal's last line has two halves
    for theme in (readers.DARK, readers.LIGHT):
        assert readers.rows_of_terminal(render.terminal(text), theme) == padded

    in_full = [text.encode()]
    assert readers.decode(Image.open(io.BytesIO(render.png(text, scale=3)))) == in_full


@pytest.mark.parametrize(
    "text",
    [
        "https://login.example.com/日本語",
        "日本語",  # fits Shift JIS, which a decoder could not know
        "ÄÖÜ",  # and this fits Latin-1
        "あい",  # the UTF-8 of this is also the Shift JIS of something else
    ],
)
def test_text_beyond_ascii_is_read_as_utf_8(text: str) -> None:
    image = Image.open(io.BytesIO(render.png(text)))
    assert [found.text for found in zxingcpp.read_barcodes(image.convert("L"))] == [text]
    assert readers.decode(image) == [text.encode()]


@given(links)
@example(LINK)
def test_a_terminal_shows_a_readable_code_whatever_its_theme(text: str) -> None:
    for theme in (readers.DARK, readers.LIGHT):
        shown = readers.screen(render.terminal(text), theme)
        assert readers.decode(readers.photographed(shown, theme.ground)) == [text.encode()]


@given(links)
@example(LINK)
def test_without_ansi_there_are_only_blocks_and_a_dark_terminal_shows_a_readable_code(
    text: str,
) -> None:
    printed = render.terminal(text, ansi=False)
    assert set(printed) <= set(" ▀▄█\n")
    shown = readers.screen(printed, readers.DARK)
    assert readers.decode(readers.photographed(shown, readers.DARK.ground)) == [text.encode()]


@pytest.mark.parametrize("text", ["x", LINK, LINK * 3])
def test_the_code_is_upright_with_a_quiet_zone_of_four(text: str) -> None:
    # A decoder also reads what is turned or mirrored: the three finder patterns say which way is
    # up.
    rows = readers.rows_of_png(render.png(text, scale=1), scale=1)
    finder = ("1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111")
    inner = [row[4:-4] for row in rows[4:-4]]
    assert tuple(row[:7] for row in inner[:7]) == finder
    assert tuple(row[-7:] for row in inner[:7]) == finder
    assert tuple(row[:7] for row in inner[-7:]) == finder
    assert tuple(row[-7:] for row in inner[-7:]) != finder
    around = [*rows[:4], *rows[-4:], *(row[:4] + row[-4:] for row in rows)]
    assert "1" not in "".join(around)


@pytest.mark.parametrize("treatment", ["turned", "half size", "blurred", "JPEG"])
def test_a_picture_is_read_after_the_effects_of_a_camera(treatment: str) -> None:
    image = Image.open(io.BytesIO(render.png(LINK))).convert("L")
    match treatment:
        case "turned":
            image = image.rotate(7, Image.Resampling.BILINEAR, expand=True, fillcolor=255)
        case "half size":
            image = image.resize((image.width // 4, image.height // 4), Image.Resampling.BILINEAR)
        case "blurred":
            image = image.filter(ImageFilter.GaussianBlur(3))
        case _:
            squeezed = io.BytesIO()
            image.save(squeezed, "JPEG", quality=20)
            image = Image.open(squeezed)
    assert readers.decode(image) == [LINK.encode()]


def test_a_data_uri_holds_the_png() -> None:
    head, _, content = render.data_uri(LINK).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(content, validate=True) == render.png(LINK)
    assert base64.b64decode(render.data_uri(LINK, scale=2).partition(",")[2]) == render.png(
        LINK, scale=2
    )


def test_an_svg_needs_no_exception_from_a_strict_content_security_policy() -> None:
    svg = render.svg(LINK)
    assert not re.search(r"style|script|href|url\(|<!|<\?", svg)
    width, height = Image.open(io.BytesIO(render.png(LINK))).size
    root = ElementTree.fromstring(svg)
    assert (root.attrib["width"], root.attrib["height"]) == (str(width), str(height))


def test_a_usual_login_link_fits_a_terminal_of_24_rows() -> None:
    assert len(LINK) == 84
    lines = render.terminal(LINK, ansi=False).split("\n")
    assert len(lines) == 23
    assert {len(line) for line in lines} == {45}
    assert render.matrix_path(LINK).size == 45


@pytest.mark.parametrize("scale", [1, 3, 8, 50])
def test_scale_is_the_width_of_a_module_in_pixels(scale: int) -> None:
    assert Image.open(io.BytesIO(render.png("x", scale=scale))).size == (29 * scale, 29 * scale)


@pytest.mark.parametrize("scale", [0, -1, 51, 2.5, "8", None])
def test_a_scale_out_of_bounds_is_refused(scale: object) -> None:
    for draw in (render.png, render.data_uri):
        with pytest.raises(ValueError, match="from 1 to 50"):
            draw("x", scale=scale)  # type: ignore[arg-type]
