"""Fifty people behind one address log in at a real server while a flood comes from that address.

The flood is slowed by 429 and Retry-After. The people are, too, and come back when that says. A
person is a browser that keeps cookies and a phone; the flood sends first requests, as a loop does.
"""

import http.client
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from qrlogin import STANDARD, Limits
from tests.security_rows import row
from tests.servers import LOOPBACK
from tests.wire.stopped_servers import running

PEOPLE = 50
HOME, ABROAD = "198.51.100.7", "2001:db8::7"
LIMITS = STANDARD.limits or Limits()


class Client:
    """One connection that keeps cookies if it is a browser's."""

    def __init__(self, port: int, **headers: str) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        self._headers = {"Content-Type": "application/json", **headers}
        self._cookies: dict[str, str] = {}
        self.keeps_cookies = True

    def ask(self, path: str, body: object = None) -> tuple[int, Any, str | None]:
        """The status, the JSON and the Retry-After of the answer."""
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = self._headers | ({"Cookie": cookies} if cookies else {})
        method, sent = ("GET", None) if body is None else ("POST", json.dumps(body))
        self._connection.request(method, path, sent, headers)
        answer = self._connection.getresponse()
        read = json.loads(answer.read() or b"null")
        for line in answer.headers.get_all("Set-Cookie") or () if self.keeps_cookies else ():
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, read, answer.headers.get("Retry-After")

    def close(self) -> None:
        self._connection.close()


class Flood:
    """Begins logins as fast as one connection can, until `stop` or `most` begins."""

    def __init__(self, port: int, address: str, most: int) -> None:
        self._port, self._address, self._most = port, address, most
        self.statuses: Counter[int] = Counter()
        self.refused, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        client = Client(self._port, **{"X-Address": self._address})
        client.keeps_cookies = False
        while not self._stopped.is_set() and self.statuses.total() < self._most:
            status, _, retry_after = client.ask("/qr/begin", {})
            self.statuses[status] += 1
            if status == 429:
                assert 1 <= int(retry_after or 0) <= 60
                self.refused.set()
        client.close()

    def join(self) -> None:
        self._thread.join()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


def log_in(port: int, user: str) -> int:
    """A whole login of one person. Returns how often the begin was refused."""
    browser, phone = (
        Client(port, **{"X-Address": HOME}),
        Client(port, Authorization=f"Bearer {user}"),
    )
    refused = 0
    while True:
        status, begun, retry_after = browser.ask("/qr/begin", {})
        if status == 201:
            break
        assert (status, begun["error"]) == (429, "too_many_logins")
        refused += 1
        browser.close()  # servers close idle connections; the next request opens another
        time.sleep(int(retry_after or 0))
    code, path = begun["verification_uri_complete"], f"/qr/{begun['login_id']}"
    for verb in ("scan", "confirm"):
        status, answer, _ = phone.ask(f"/phone/{verb}", {"code": code})
        assert status == 200, answer
    _, seen, _ = browser.ask(f"{path}?after={begun['version']}&wait=5")
    redeem = {"acknowledged": seen["scanned_by"]["tag"], "op": f"op-of-{user}-0123456789"}
    status, answer, _ = browser.ask(f"{path}/redeem", redeem)
    assert (status, answer["state"]) == (200, "redeemed")
    browser.close()
    phone.close()
    return refused


def flood_and_log_in(port: int, begins: int, flooders: int, most: int) -> None:
    began = time.monotonic()
    floods = [Flood(port, HOME, most) for _ in range(flooders)]
    try:
        for flood in floods:
            assert flood.refused.wait(60), "the flood was not slowed"
        with ThreadPoolExecutor(PEOPLE) as people:
            refusals = list(people.map(lambda each: log_in(port, f"user-{each}"), range(PEOPLE)))
        neighbour = Client(port, **{"X-Address": ABROAD})
        assert neighbour.ask("/qr/begin", {})[0] == 201  # another address is not slowed
        neighbour.close()
        for flood in floods if most < 10**9 else ():
            flood.join()
    finally:
        for flood in floods:
            flood.stop()
    seconds = time.monotonic() - began
    statuses = sum((flood.statuses for flood in floods), Counter[int]())
    print(
        f"\n{statuses} in {seconds:.1f} s; people were refused {Counter(refusals)} times", end=" "
    )
    assert len(refusals) == PEOPLE
    assert max(refusals) <= 5
    assert set(statuses) == {201, 429}
    assert statuses[201] <= begins + seconds * LIMITS.begins_per_minute / 60 + 1


@row(27, 428)
@pytest.mark.long
def test_fifty_people_log_in_while_a_flood_from_their_address_is_slowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEGINS", "60")
    with running("uvicorn", tmp_path, store="memory", drain=False) as server:
        flood_and_log_in(server.port, begins=60, flooders=1, most=10**9)


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["uvicorn, 2 workers", "gunicorn, 256 threads"])
def test_fifty_people_log_in_through_ten_thousand_begins(
    name: str, tmp_path: Path, redis_url: str
) -> None:
    store = redis_url if "workers" in name else "memory"
    with running(name, tmp_path, store=store, drain=False) as server:
        flood_and_log_in(server.port, begins=LIMITS.begins, flooders=4, most=2500)
