"""SIGTERM with a hundred held polls: each example answers them and exits long before they time out.

The test prints how long it took. The promise is two seconds on an idle machine:
`pytest tests/examples/test_stopping.py -m matrix -n0 -s`.
"""

import shutil
import time
from pathlib import Path

import pytest

from tests.examples.held_waits import before_time_out, hold_poll, wait_until_held
from tests.examples.running import DJANGO, FASTAPI, FLASK, Example, Running, prepared
from tests.examples.story import Desk
from tests.examples.visitors import OfExamples
from tests.wire.clock import eventually

POLLS = 100
LAST_ANSWERS_S = 10
#: The commands: that of the README ("") if it can hold a hundred polls, or one with more threads.
COMMANDS: list[tuple[Example, str]] = [
    (FLASK, ""),
    (FLASK, "gunicorn --bind 127.0.0.1:{port} --threads 256 app:app"),
    (FLASK, "gunicorn --bind 127.0.0.1:{port} --worker-class gevent app:app"),
    (FASTAPI, ""),
    (DJANGO, "gunicorn --bind 127.0.0.1:{port} --threads 256 config.wsgi"),
    (DJANGO, "uvicorn --port {port} config.asgi:application"),
]


def patient(example: Example, folder: Path) -> Path:
    """A copy with more time for its last answers, for a busy machine.

    The time is still too short for polls that the server does not end.
    """
    copy = Path(shutil.copytree(prepared(example), folder))
    for name, line, longer in (
        ("app.py", "finish_requests_at_exit(app)", "finish_requests_at_exit(app, seconds={})"),
        ("gunicorn.conf.py", "graceful_timeout = 5", "graceful_timeout = {}"),
    ):
        if (file := copy / name).exists() and line in (before := file.read_text("utf-8")):
            file.write_text(before.replace(line, longer.format(LAST_ANSWERS_S)), "utf-8")
    return copy


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("example", "command"), COMMANDS, ids=lambda value: getattr(value, "name", value)
)
def test_a_hundred_held_polls_do_not_delay_the_shutdown(
    example: Example, command: str, tmp_path: Path
) -> None:
    folder = patient(example, tmp_path / example.folder)
    with Running(example, start=command, folder=folder, QRLOGIN_MAX_WAITING=str(POLLS)) as running:
        late, *desks = (
            Desk(OfExamples().browser(running.origin)).begin() for _ in range(1 + POLLS)
        )
        waits = [hold_poll(desk) for desk in desks]
        wait_until_held(late, *waits)
        begun = time.monotonic()
        running.stop()
        eventually(running.ended)
        took = time.monotonic() - begun
        assert before_time_out(waits), running.log[-2000:]
        assert {each.answer()["state"] for each in waits} == {"pending"}
        for desk in (late, *desks):
            desk.visitor.http.close()
    print(f"{example.name}, {command or 'command of the README'}: ended after {took:.2f} s")
