"""Our own encoder gives the modules of two others, and three decoders read what it gives."""

import io
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import segno
import zxingcpp
from PIL import Image
from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode
from qrcode.util import QRData

from qrlogin import render
from qrlogin.render import _encoder
from tests.render import decoders

#: Table 7 of ISO/IEC 18004, byte mode, level M: what fits versions 1 to 13.
CAPACITIES = (14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331)


def of_qrcode(content: bytes) -> list[str]:
    code = QRCode(None, ERROR_CORRECT_M, border=0, mask_pattern=_encoder.MASK)
    code.add_data(QRData(content, mode=4), optimize=0)  # 4: bytes, also where digits would do
    code.make()
    return ["".join("01"[bool(module)] for module in row) for row in code.modules]


def of_segno(content: bytes) -> list[str]:
    code = segno.make_qr(
        content, error="M", mask=_encoder.MASK, mode="byte", boost_error=False, encoding="latin-1"
    )
    return ["".join(map(str, row)) for row in code.matrix]


def contents() -> Iterator[bytes]:
    """At every fifth length, and at each end of each version: random, and all ones."""
    ends = {end + more for end in CAPACITIES for more in (0, 1)}
    for length in sorted({*range(1, 331, 5), *ends} - {332}):
        yield secrets.token_bytes(length)
        yield b"\xff" * length


@pytest.mark.long
def test_the_modules_are_those_of_qrcode_for_the_same_mask() -> None:
    for content in contents():
        assert _encoder.encode(content) == of_qrcode(content)


def test_the_modules_are_those_of_segno_for_the_same_mask() -> None:
    """Only at full length: before the padding, segno adds a byte that the standard does not have.
    Decoders do not read the padding.
    """
    for number, length in enumerate(CAPACITIES, 1):
        content = "".join(secrets.choice("abcXYZ-_/:") for _ in range(length)).encode()
        rows = _encoder.encode(content)
        assert rows == of_segno(content)
        assert len(rows) == 17 + 4 * number


def test_three_decoders_read_a_code_of_every_version(tmp_path: Path) -> None:
    texts = [
        "".join(secrets.choice("abcXYZ019-_/:") for _ in range(length - spare))
        for length in CAPACITIES
        for spare in (0, 3)
    ]
    views = (
        (text, view)
        for text in texts
        for view in decoders.views(Image.open(io.BytesIO(render.png(text)))).values()
    )
    asked, images = zip(*views, strict=True)
    found = decoders.read(images, tmp_path)
    assert list(found) == [decoders.all_read(text) for text in asked]


def test_a_code_is_of_level_m() -> None:
    for text in ("https://login.example.com/qr/x", "s" * 331):
        image = Image.open(io.BytesIO(render.png(text, scale=3))).convert("L")
        assert [found.ec_level for found in zxingcpp.read_barcodes(image)] == ["M"]


def test_it_takes_less_than_half_the_time_of_every_encoder_of_the_registry() -> None:
    """Half is what justifies an encoder of our own; on a quiet machine it is a tenth."""

    def of_zxing(content: bytes) -> None:
        code = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
        code.to_image(scale=1)

    _encoder.encode(b"s" * 84)  # the first one computes what its version has in common
    best = dict.fromkeys((_encoder.encode, of_segno, of_zxing), float("inf"))
    for _ in range(60):
        content = secrets.token_urlsafe(63).encode()
        for encode in best:
            started = time.process_time_ns()
            encode(content)
            best[encode] = min(best[encode], time.process_time_ns() - started)
    assert 2 * best[_encoder.encode] < min(best[of_segno], best[of_zxing])
