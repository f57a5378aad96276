"""The one story, over HTTP, with six applications: the three examples, two bare ones and the demo.
The two bare ones also play it over every store.

Each is a variant (variants/), so every body was read before, apps have tokens, and `log_in` sets a
JWT cookie. Each is a process: with the server of its README, and one that handles one request at a
time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.examples.running import ALL, ROOT, Running, Server
from tests.examples.story import Desk, Stage, tell
from tests.examples.visitors import Manner, OfBareApplications, OfExamples, OfTheDemo, Visitor
from tests.stores.deployments import STORES

pytestmark = pytest.mark.long

_GUNICORN: Final = "gunicorn --keep-alive 1 --bind 127.0.0.1:{port}"
PATH: Final = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
_BARE: Final = "tests.examples.variants.bare"
_SETTINGS: Final = "tests.examples.variants.in_django"
#: How each application is started.
COMMANDS: Final = {
    "Flask": "flask --app tests.examples.variants.in_flask run",
    "FastAPI": "uvicorn tests.examples.variants.in_fastapi:app",
    "Django": "python manage.py runserver {port} --noreload",
    "Django under ASGI": "uvicorn --port {port} config.asgi:application",
    "bare WSGI": f"{_GUNICORN} --threads 16 '{_BARE}:wsgi_app()'",
    "bare ASGI": f"uvicorn --port {{port}} --factory {_BARE}:asgi_app",
    "demo": "python -m tests.examples.variants.demo --port {port}",
}
#: The same behind a server that handles one request at a time. An ASGI server has one thread in any
#: case and holds requests all the same. The demo's own server has a thread for each connection, so
#: this is its application alone.
ONE_THREAD: Final = {
    "Flask": "flask --app tests.examples.variants.in_flask run --without-threads",
    "Django": f"{_GUNICORN} --threads 1 config.wsgi",
    "bare WSGI": f"{_GUNICORN} '{_BARE}:wsgi_app()'",
    "demo": f"{_GUNICORN} 'tests.examples.variants.demo:wsgi_app()'",
}


@contextmanager
def served(name: str, command: str) -> Iterator[tuple[Server, Manner]]:
    server: Server
    manner: Manner
    if example := ALL.get(name.partition(" ")[0]):
        server = Running(example, start=command, DJANGO_SETTINGS_MODULE=_SETTINGS)
        manner = OfExamples(shared=False)
    elif name == "demo":
        server, manner = Server(command, ROOT, page="/"), OfTheDemo()
    else:
        server, manner = Server(command, ROOT, page="/me", PYTHONPATH=PATH), OfBareApplications()
    with server:
        yield server, manner


def marks(name: str, one_thread: bool) -> list[pytest.MarkDecorator]:
    """One of those with one thread is in `make test`."""
    wide = name != "bare WSGI" if one_thread else name == "Django under ASGI"
    return [pytest.mark.matrix] if wide else []


CASES = [
    pytest.param(name, command, one, marks=marks(name, one))
    for one, commands in ((False, COMMANDS), (True, ONE_THREAD))
    for name, command in commands.items()
]


@pytest.mark.parametrize(
    ("name", "command", "one_thread"),
    CASES,
    ids=[f"{case.values[0]}{' with one thread' * bool(case.values[2])}" for case in CASES],
)
def test_the_story_passes_with_every_application(name: str, command: str, one_thread: bool) -> None:
    with served(name, command) as (server, manner):
        sockets = "uvicorn" in command
        tell(Stage(server.origin, manner, sockets, one_thread=one_thread, varied=True))
        assert "Traceback" not in server.log


@pytest.mark.matrix
@pytest.mark.parametrize("command", ["bare WSGI", "bare ASGI"])
@pytest.mark.parametrize("store", STORES)
def test_the_story_passes_over_every_store(store: str, command: str) -> None:
    """The cases above have their logins in memory."""
    with (
        STORES[store]() as address,
        Server(
            COMMANDS[command], ROOT, page="/me", PYTHONPATH=PATH, QRLOGIN_STORE=address
        ) as server,
    ):
        sockets = "uvicorn" in COMMANDS[command]
        tell(Stage(server.origin, OfBareApplications(), sockets, varied=True))
        assert "Traceback" not in server.log


def test_the_page_of_a_code_is_for_everybody(example: Running) -> None:
    """A user who is not signed in is shown how, and comes back. The phone keeps the code."""
    with Desk(OfExamples().browser(example.origin)) as desk, Visitor(example.origin) as phone:
        path = desk.begin().complete.removeprefix(example.origin)
        links = [each["href"] for tag, each in phone.page(path).found if tag == "a"]
        assert f"/login?next={path}" in links
        assert "qrl-landing" in phone.jar()
        with Visitor(example.origin) as other:
            other.page(path[:-1] + ("A" if path[-1] != "A" else "B"))
            other.page("/qr")
            assert "qrl-landing" not in other.jar()
