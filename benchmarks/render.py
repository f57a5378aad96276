"""The cost of a picture, next to segno, zxing-cpp and qrcode: `.venv/bin/python
benchmarks/render.py`.

It measures CPU time, the best of all rounds. The candidates take turns in each round, and only the
ratios mean anything. Every picture is of a new text, so that the cache does not help, except in the
line with "again". It needs segno, and uses qrcode and zxing-cpp if they are installed.
"""

import io
import secrets
import time
from collections.abc import Callable

import segno

from qrlogin import render
from qrlogin.render import _encoder

ROUNDS = 60
Picture = str | bytes


def login_link() -> str:
    return "https://login.of-example.example/qr/" + secrets.token_urlsafe(36)  # 84 characters


def segno_svg(text: str) -> bytes:
    out = io.BytesIO()
    segno.make_qr(text).save(out, kind="svg", border=4)
    return out.getvalue()


def segno_masked(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="M", mask=4, mode="byte", encoding="utf-8")


def segno_masked_svg(text: str) -> bytes:
    out = io.BytesIO()
    segno_masked(text).save(out, kind="svg", border=4)
    return out.getvalue()


def segno_masked_png(text: str) -> bytes:
    out = io.BytesIO()
    segno_masked(text).save(out, kind="png", border=4, scale=8)
    return out.getvalue()


def with_zxing() -> dict[str, Callable[[str], Picture]]:
    try:
        import zxingcpp
    except ImportError:
        print("zxing-cpp is not installed, so its lines are left out")
        return {}

    def make(text: str) -> zxingcpp.Barcode:
        return zxingcpp.create_barcode(text.encode(), zxingcpp.BarcodeFormat.QRCode, ec_level="M")

    return {
        "svg, zxing-cpp": lambda text: make(text).to_svg(add_quiet_zones=True),
        "modules, zxing-cpp": lambda text: str(make(text).to_image().shape),
    }


def segno_png(text: str) -> bytes:
    out = io.BytesIO()
    segno.make_qr(text).save(out, kind="png", border=4, scale=8)
    return out.getvalue()


def with_qrcode() -> dict[str, Callable[[str], Picture]]:
    try:
        import qrcode
        from qrcode.image.svg import SvgPathImage
    except ImportError:
        print("qrcode is not installed, so its lines are left out")
        return {}

    def svg(text: str) -> bytes:
        return bytes(qrcode.make(text, image_factory=SvgPathImage).to_string())

    def png(text: str) -> bytes:
        out = io.BytesIO()
        qrcode.make(text).save(out)
        return out.getvalue()

    rounded = render.Style(modules="rounded")
    return {
        "svg, qrcode": svg,
        "png, qrcode": png,
        "png rounded, qrlogin": lambda text: render.png(text, style=rounded),
    }


def main() -> None:
    again = login_link()
    candidates: dict[str, Callable[[str], Picture]] = {
        "svg, qrlogin": render.svg,
        "svg, segno": segno_svg,
        "png, qrlogin": render.png,
        "png, segno": segno_png,
        "svg, segno masked": segno_masked_svg,
        "png, segno masked": segno_masked_png,
        "modules, segno masked": lambda text: bytes(segno_masked(text).matrix[0]),
        "modules, qrlogin": lambda text: _encoder.encode(text.encode())[0],
        "matrix_path, qrlogin": lambda text: render.matrix_path(text).path,
        "matrix_path again, qrlogin": lambda _: render.matrix_path(again).path,
        "terminal, qrlogin": render.terminal,
        **with_zxing(),
        **with_qrcode(),
    }
    for draw in candidates.values():
        draw(
            login_link()
        )  # the first picture costs more: imports, and what a version has in common
    best = dict.fromkeys(candidates, float("inf"))
    length = dict.fromkeys(candidates, 0)
    for _ in range(ROUNDS):
        for name, draw in candidates.items():
            text = login_link()
            started = time.process_time_ns()
            picture = draw(text)
            best[name] = min(best[name], (time.process_time_ns() - started) / 1e6)
            length[name] = len(picture)

    peer_names = ("segno", "segno masked", "qrcode")
    heads = "".join(f"{f'x {name}':>16}" for name in peer_names)
    print(f"{'':28}{'CPU ms':>8}{heads}{'length':>8}")
    for name in sorted(candidates):
        form = "png" if name.startswith("png") else "svg"
        peers = [best.get(f"{form}, {library}") for library in peer_names]
        ratios = "".join(f"{f'{best[name] / peer:.3f}' if peer else '-':>16}" for peer in peers)
        print(f"{name:28}{best[name]:8.3f}{ratios}{length[name]:8}")


if __name__ == "__main__":
    main()
