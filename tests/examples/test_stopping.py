"""SIGTERM under a hundred parked browsers: each example is gone long before their waits would end, and none ends in an error.

How long it took is printed. What is promised is two seconds on a machine that does nothing else:
`pytest tests/examples/test_stopping.py -n0 -s`.
"""

import time

import pytest

from tests.examples.parked import WAIT_S, answer, park
from tests.examples.running import DJANGO, FASTAPI, FLASK, Example, Running
from tests.examples.story import Desk
from tests.examples.visitors import OfExamples
from tests.wire.clock import eventually

PARKED = 100
#: How to start each with room for a hundred: as its README does, or with more threads.
COMMANDS: list[tuple[Example, str]] = [
    (FLASK, ""),
    (FLASK, "gunicorn --bind 127.0.0.1:{port} --threads 256 app:app"),
    (FASTAPI, ""),
    (DJANGO, "gunicorn --bind 127.0.0.1:{port} --threads 256 config.wsgi"),
    (DJANGO, "uvicorn --port {port} config.asgi:application"),
]


@pytest.mark.long
@pytest.mark.parametrize(("example", "command"), COMMANDS, ids=lambda value: getattr(value, "name", value))
def test_a_hundred_parked_browsers_do_not_keep_it(example: Example, command: str) -> None:
    with Running(example, start=command, QRLOGIN_MAX_WAITING="128") as running:
        desks = [Desk(OfExamples().browser(running.origin)).begin() for _ in range(PARKED)]
        lines = park(*desks)
        begun = time.monotonic()
        running.stop()
        eventually(running.ended)
        took = time.monotonic() - begun
        assert {answer(line)["state"] for line in lines} == {"pending"}
        for desk in desks:
            desk.visitor.http.close()
        assert took < WAIT_S / 3, running.log[-2000:]
    print(f"{example.name}, {command or 'as in its README'}: ended after {took:.2f} s")
