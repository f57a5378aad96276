"""Which texts are refused; the same text gives the same picture, and is encoded once."""

import dataclasses
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import segno
from PIL import Image

from qrlogin import render
from qrlogin.render import _encoder, _matrix, _styled
from tests.render import readers
from tests.tables import for_each_row

REPOSITORY = Path(__file__).parents[2]
FORMS: list[Callable[[str], object]] = [
    render.svg,
    render.png,
    render.data_uri,
    render.terminal,
    render.matrix_path,
]


@for_each_row("form", FORMS)
@for_each_row(
    "text, message",
    [
        ("", "at least one character"),
        (None, "at least one character"),
        (b"https://login.example.com", "at least one character"),
        ("s" * 2954, "at most 2953 bytes, this text has 2954: use a shorter address"),
        ("é" * 1477, "at most 2953 bytes, this text has 2954"),
        ("secret\ud800", "half a surrogate pair"),
    ],
)
def test_a_text_that_no_code_can_carry_is_refused_and_not_quoted(
    form: Callable[[object], object], text: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        form(text)
    assert "sss" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_the_longest_text_is_read_back() -> None:
    text = "s" * 2953
    assert render.matrix_path(text).size == 177 + 8
    assert readers.decode(Image.open(io.BytesIO(render.png(text, scale=3)))) == [text.encode()]


@for_each_row("length", [84, 400])
def test_every_form_is_drawn_from_one_encoding_of_the_text(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counting(encode: Callable[..., object]) -> Callable[..., object]:
        def encode_and_count(*args: object, **options: object) -> object:
            asked.append(args)
            return encode(*args, **options)

        return encode_and_count

    monkeypatch.setattr(_encoder, "encode", counting(_encoder.encode))
    monkeypatch.setattr(segno, "make_qr", counting(segno.make_qr))
    for _ in range(2):
        for form in FORMS:
            form("https://login.example.com/qr/drawn-once".ljust(length, "-"))
    assert len(asked) == 1


def test_the_caches_of_pictures_are_bounded() -> None:
    caches = (_matrix.modules, _matrix.matrix_path, _styled.png)
    assert [cache.cache_info().maxsize for cache in caches] == [1024, 1024, 256]


def test_the_same_text_is_the_same_picture_in_every_process() -> None:
    text = "https://login.example.com/qr/the-same"
    script = f"from qrlogin import render; print(render.svg({text!r}), end='')"
    pictures = {_python(script, seed) for seed in ("0", "1")}
    assert pictures == {render.svg(text)}


def test_a_matrix_path_cannot_be_changed_by_one_page_for_all_others() -> None:
    outline = render.matrix_path("https://login.example.com/qr/shared")
    with pytest.raises(dataclasses.FrozenInstanceError):
        outline.path = ""  # type: ignore[misc]


def test_drawing_loads_neither_an_image_library_nor_a_store_nor_a_framework() -> None:
    heavy = {
        "PIL",
        "qrcode",
        "zxingcpp",
        "numpy",
        "redis",
        "flask",
        "fastapi",
        "starlette",
        "django",
        "asgiref",
    }
    assert not heavy & _loaded_by("qrlogin.render")


def test_a_login_link_of_any_length_is_drawn_without_segno() -> None:
    script = (
        "import sys; from qrlogin import render; "
        f"render.svg('s' * {200 + len('/') + 48}); print(*sys.modules)"
    )
    assert "segno" not in _python(script).split()


def test_importing_qrlogin_loads_no_encoder() -> None:
    assert not {"segno", "qrcode", "qrlogin.render"} & _loaded_by("qrlogin")


def _loaded_by(module: str) -> set[str]:
    return set(_python(f"import sys, {module}; print(*sys.modules)").split())


def _python(script: str, seed: str = "0") -> str:
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    return run.stdout
