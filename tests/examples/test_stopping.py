"""SIGTERM under a hundred parked browsers: each example is gone long before their waits would end, and none ends in an error.

How long it took is printed. What is promised is two seconds on a machine that does nothing else:
`pytest tests/examples/test_stopping.py -n0 -s`.
"""

import shutil
import time
from pathlib import Path

import pytest

from tests.examples.held_waits import settle, sooner_than, waiting
from tests.examples.running import DJANGO, FASTAPI, FLASK, Example, Running, prepared
from tests.examples.story import Desk
from tests.examples.visitors import OfExamples
from tests.wire.clock import eventually

PARKED = 100
MOMENT_S = 10
#: How to start each with room for a hundred: as its README does, or with more threads.
COMMANDS: list[tuple[Example, str]] = [
    (FLASK, ""),
    (FLASK, "gunicorn --bind 127.0.0.1:{port} --threads 256 app:app"),
    (FASTAPI, ""),
    (DJANGO, "gunicorn --bind 127.0.0.1:{port} --threads 256 config.wsgi"),
    (DJANGO, "uvicorn --port {port} config.asgi:application"),
]


def patient(example: Example, folder: Path) -> Path:
    """A copy that has more time for its last answers, as a busy machine needs; waits that nobody ends would still be cut off."""
    copy = Path(shutil.copytree(prepared(example), folder))
    for name, moment in (
        ("stopping.py", "LAST_ANSWERS_S = 1.0"),
        ("gunicorn.conf.py", "graceful_timeout = 5"),
    ):
        if (file := copy / name).exists():
            before = file.read_text("utf-8")
            assert moment in before
            file.write_text(before.replace(moment, f"{moment.split()[0]} = {MOMENT_S}"), "utf-8")
    return copy


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("example", "command"), COMMANDS, ids=lambda value: getattr(value, "name", value)
)
def test_a_hundred_parked_browsers_do_not_keep_it(
    example: Example, command: str, tmp_path: Path
) -> None:
    folder = patient(example, tmp_path / example.folder)
    with Running(example, start=command, folder=folder, QRLOGIN_MAX_WAITING=str(PARKED)) as running:
        late, *desks = (
            Desk(OfExamples().browser(running.origin)).begin() for _ in range(1 + PARKED)
        )
        waits = [waiting(desk) for desk in desks]
        settle(late, *waits)
        begun = time.monotonic()
        running.stop()
        eventually(running.ended)
        took = time.monotonic() - begun
        assert sooner_than(waits), running.log[-2000:]
        assert {each.answer()["state"] for each in waits} == {"pending"}
        for desk in (late, *desks):
            desk.visitor.http.close()
    print(f"{example.name}, {command or 'as in its README'}: ended after {took:.2f} s")
