"""What three decoders read in a picture: zxing-cpp here, jsQR and zbar in one process of Node."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import npm_parts
from PIL import Image

from tests.render import readers
from tests.servers import missing

Found = dict[str, list[str]]


def all_read(text: str) -> Found:
    """The result of `read` if each decoder finds exactly this text."""
    return {"zxing": [text], "jsqr": [text], "zbar": [text]}


def read(images: Iterable[Image.Image], folder: Path) -> Iterator[Found]:
    """What each decoder reads, picture by picture. `folder` is for the pixels of a picture."""
    node = npm_parts.node()
    if node is None or not npm_parts.ready():
        missing("jsQR and zbar", npm_parts.HOW)
    pixels = folder / "pixels.rgba"
    command = [node, str(npm_parts.FOLDER / "read-qr.mjs")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for image in images:
            pixels.write_bytes(image.convert("RGBA").tobytes())
            reader.stdin.write(
                json.dumps({"width": image.width, "height": image.height, "file": str(pixels)})
                + "\n"
            )
            reader.stdin.flush()
            yield {
                "zxing": [found.decode() for found in readers.decode(image)],
                **json.loads(reader.stdout.readline()),
            }


def views(image: Image.Image) -> dict[str, Image.Image]:
    """The picture as it is, and turned."""
    straight = readers.photographed(image, readers.WHITE, zoom=1)
    askew = straight.rotate(7, Image.Resampling.BILINEAR, expand=True, fillcolor=readers.WHITE)
    return {"straight": straight, "askew": askew}
