"""What the limits and the known browser cost: the CPU of a login with and without, in one run.

Run `python benchmarks/limits.py [redis://…]`. A login is what a browser and a phone ask over HTTP,
without a server: begin, status, look, scan, confirm, status and redeem. Each browser keeps what it
is known by from the login before, of another account. The two kinds take turns, in small batches,
so that the load of the machine meets both. It prints microseconds of this process's CPU per login,
and the ratio, which may be 1.25 at most for all defaults.
"""

import json
import sys
from dataclasses import replace
from statistics import median
from time import process_time
from typing import Any

from qrlogin import STANDARD, MemoryStore, Policy, QRLogin
from qrlogin.stores import RedisStore
from qrlogin.wire import BrowserContext, Endpoint, Native, Person, Request

BATCHES, LOGINS = 60, 25
TYPE = ("content-type", "application/json")
AGENT = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")


def endpoint(policy: Policy, url: str) -> Endpoint:
    store = RedisStore.from_url(url, prefix="qrlogin-bench:") if url else MemoryStore()
    key = bytes(range(32))
    qr = QRLogin(store, secret_keys=[key], verification_uri="https://a.example/qr", policy=policy)
    describe = BrowserContext(address=lambda request: request.client)
    return Endpoint(qr, Native(qr.core, describe=describe), max_waiting=8)


def log_in(served: Endpoint, number: int, known: str) -> str:
    """Returns what the browser keeps for its next login."""
    client = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
    person = Person(f"user {number}", "A•••e")

    def ask(path: str, body: dict[str, str] | None, *headers: tuple[str, str]) -> Any:
        sent = b"" if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        request = Request(method, path, "", (*headers, *([TYPE] if sent else [])), sent, client)
        if body is not None and "code" in body:
            answer = served.phone(request, person)
        else:
            answer = served.browser(request)
        if answer.status not in (200, 201):
            raise SystemExit(f"{path}: {answer.status} {answer.body!r}")
        return json.loads(answer.body)

    begun = ask("begin", {"deliver": "body", "known": known}, AGENT)
    bearer = ("authorization", f"Bearer {begun['device_code']}")
    code = {"code": begun["verification_uri_complete"]}
    ask(begun["login_id"], None, bearer)
    for verb in ("look", "scan", "confirm"):
        ask(verb, code, ("authorization", "Bearer of-a-phone"))
    seen = ask(begun["login_id"], None, bearer)
    redeem = {"acknowledged": seen["scanned_by"]["tag"], "op": "0123456789abcdef", "known": known}
    answer = ask(f"{begun['login_id']}/redeem", redeem, bearer)
    return str(answer.get("known", ""))


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else ""
    kinds = {
        "without": endpoint(replace(STANDARD, limits=None, known_browser=False), url),
        "all defaults": endpoint(STANDARD, url),
    }
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    number, known = 0, dict.fromkeys(kinds, "")
    for batch in range(BATCHES + 2):
        for name, served in kinds.items():
            began = process_time()
            for _ in range(LOGINS):
                number += 1
                known[name] = log_in(served, number, known[name])
            if batch > 1:  # the first ones warm up
                spent[name].append((process_time() - began) / LOGINS * 1e6)
    costs = {name: median(each) for name, each in spent.items()}
    for name, cost in costs.items():
        print(f"{name:16} {cost:8.0f} µs of CPU per login")
    print(f"ratio            {costs['all defaults'] / costs['without']:8.3f}")


if __name__ == "__main__":
    main()
