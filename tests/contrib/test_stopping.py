"""The applications of qrlogin.contrib answer waiting browsers on SIGTERM, and the server ends."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.servers import LOOPBACK, free_port
from tests.wire.clock import PATIENCE_SECONDS, eventually

ROOT = Path(__file__).parents[2]
HOLD = 25
SERVERS = {
    "uvicorn": ["uvicorn", "tests.contrib.alone:asgi_app", "--lifespan", "on", "--port"],
    "gunicorn": ["gunicorn", "tests.contrib.alone:wsgi_app()", "--threads", "8", "--bind"],
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_stops_answers_those_who_wait(name: str) -> None:
    port = free_port()
    address = [f"{LOOPBACK}:{port}" if name == "gunicorn" else str(port)]
    server = subprocess.Popen([sys.executable, "-m", *SERVERS[name], *address], cwd=ROOT)
    site = httpx2.Client(
        base_url=f"http://{LOOPBACK}:{port}", trust_env=False, verify=False, timeout=2 * HOLD
    )
    try:
        eventually(lambda: answers(site) or server.poll() is not None)
        (polled, of_poll), (streamed, of_stream) = begin(site), begin(site)
        poll = f"/{polled}?wait={HOLD}&after=1"
        with (
            ThreadPoolExecutor(1) as parallel,
            site.stream("GET", f"/{streamed}/events", headers=of_stream) as stream,
        ):
            lines = stream.iter_lines()
            assert next(lines).startswith(":")
            waiting, since = parallel.submit(site.get, poll, headers=of_poll), time.monotonic()
            time.sleep(0.5)  # the poll reaches the server, which answers it now or in 25 seconds
            server.terminate()
            assert waiting.result(PATIENCE_SECONDS).json()["state"] == "pending"
            assert time.monotonic() - since < HOLD
            assert sum(line.startswith("data:") for line in lines) == 1
        assert server.wait(PATIENCE_SECONDS) in (0, -15)
    finally:
        site.close()
        server.kill()
        server.wait()


def begin(site: httpx2.Client) -> tuple[str, dict[str, str]]:
    """A new login: its id, and the headers of its client."""
    begun = site.post("/begin", json={"deliver": "body"}).json()
    assert begun["version"] == 1
    return begun["login_id"], {"Authorization": f"Bearer {begun['device_code']}"}


def answers(site: httpx2.Client) -> bool:
    try:
        return site.get("/qr-login-element.js").status_code == 200
    except httpx2.TransportError:
        return False
