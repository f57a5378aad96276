"""More browsers than threads announce a body and never send it: the site goes on answering."""

import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.examples.running import DJANGO, FLASK, Example, Running

THREADS = 16
SLOW = b"POST /qrlogin/begin HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\n{"


@pytest.mark.matrix
@pytest.mark.parametrize("example", [FLASK, DJANGO], ids=lambda example: example.name)
def test_slow_bodies_do_not_stop_the_threads_of_gunicorn(example: Example) -> None:
    start = "gunicorn --bind 127.0.0.1:{port} " + ("app:app" if example is FLASK else "config.wsgi")
    with Running(example, start=start) as running, ExitStack() as opened:
        address = urlsplit(running.origin)
        for _ in range(THREADS + 2):
            slow = socket.create_connection((address.hostname, address.port), timeout=60)
            opened.enter_context(slow)
            slow.sendall(SLOW % address.netloc.encode())
        time.sleep(1)  # every thread waits for a body now
        page = httpx2.get(f"{running.origin}/login", timeout=25)
        assert page.status_code == 200
