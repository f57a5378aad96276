"""Every route in every state for every client, as text: the content of `golden.txt`.

`python -m tests.wire.transcript` writes the file again. Read the difference: clients see it, too.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from qrlogin import STANDARD
from qrlogin.browser import MODULES
from qrlogin.wire import ALLOW, DENY, STEP_UP, Request, Response, Ruling
from tests.wire.mount import ALICE, BOB, ELEMENT, HISTORIES, Mount, Tab, get, post, reach, read

GOLDEN = Path(__file__).with_name("golden.txt")

_HEADERS = {
    "json": "application/json; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "js": "text/javascript; charset=utf-8",
}
_ALWAYS = ("X-Content-Type-Options: nosniff", "Cross-Origin-Resource-Policy: same-origin")


def transcript(mount: Mount) -> Iterator[str]:
    """Yield the lines. The clock stands still, so numbers are exact; a mask replaces each code."""
    yield "Every answer has: Cache-Control: no-store; " + "; ".join(_ALWAYS)
    yield "json, svg, png, js name a Content-Type; {L} is the login_id."
    yield ""
    yield "== begin"
    for sent, name in (
        ({}, "POST begin"),
        ({"deliver": "cookie"}, "… deliver cookie"),
        ({"deliver": "body"}, "… deliver body"),
    ):
        tab = Tab(mount)
        answer = tab.send(post("begin", sent))
        tab.login_id = read(answer)["login_id"]
        yield _line(name, answer, tab)

    for history in HISTORIES:
        yield ""
        yield f"== {history}"
        yield from _browser(mount, history)
        yield from _phone(mount, history)

    yield ""
    yield "== judge"
    yield from _judged(mount)

    yield ""
    yield "== a match code"
    with mount.beside(replace(STANDARD, match_digits=3)) as other:
        yield from _match_code(other)

    yield ""
    yield "== methods"
    tab = reach(mount, "pending")
    others = set(MODULES) - {ELEMENT}  # they answer like the element itself
    for route in (
        each for each in mount.endpoint.dialect.browser_routes if each.path not in others
    ):
        path = route.path.replace("{login_id}", tab.login_id)
        path = path.replace("modules/{version}/{module}", f"modules/{'0' * 16}/{ELEMENT}")
        answer = tab.send(Request("PUT", path))
        yield _line(f"PUT {route.path.replace('login_id', 'L')}", answer, tab)
    for route in mount.endpoint.dialect.phone_routes:
        yield _line(f"GET phone/{route.path}", mount.phone(get(route.path)), tab)
    yield _line("GET nowhere", tab.send(get("nowhere")), tab)
    yield _line(f"GET {ELEMENT}", tab.send(get(ELEMENT)), tab)


def _browser(mount: Mount, history: str) -> Iterator[str]:
    tab = reach(mount, history)
    yield _line("GET {L}", tab.look(), tab)
    if history not in ("pending", "pending, no code"):  # there, it would be held
        yield _line("GET {L}?after=1&wait=25", tab.look("after=1&wait=25"), tab)
    for picture in ("svg", "png"):
        yield _line(f"GET {{L}}/qr.{picture}", tab.send(get(f"{tab.login_id}/qr.{picture}")), tab)
    yield _line("POST {L}/cancel", tab.cancel(), tab)
    tab = reach(mount, history)
    yield _line("POST {L}/redeem", tab.redeem(), tab)
    tab = reach(mount, history)
    yield _line("… another op", tab.redeem(op="op-of-another-click"), tab)
    tab = reach(mount, history)
    yield _line("… another tag", tab.redeem(tag="somebody"), tab)
    stranger = Tab(mount)
    yield _line("GET {L}, stranger", stranger.send(get(tab.login_id)), tab)


def _phone(mount: Mount, history: str) -> Iterator[str]:
    for person, name in ((ALICE, "alice"), (BOB, "bob")):
        for route in mount.endpoint.dialect.phone_routes:
            tab = reach(mount, history)
            yield _line(f"POST phone/{route.path}, {name}", tab.phone(route.path, person), tab)


def _judged(mount: Mount) -> Iterator[str]:
    """Each refusal of a judge, at each call, and what the browser sees then."""
    for ruling in (DENY("Call us."), DENY(), STEP_UP("/unlock"), STEP_UP("https://id.example.com")):
        rules = dict[str, Ruling]()
        with Mount(mount.colour, judge=lambda *asked, r=rules: r.get(asked[2].path, ALLOW)) as one:
            for verb, history in (("look", "pending"), ("scan", "pending"), ("confirm", "scanned")):
                tab = reach(one, history)
                rules[verb] = ruling
                yield _line(f"POST phone/{verb}", tab.phone(verb), tab)
                rules.clear()
            yield _line("GET {L}", tab.look(), tab)


def _match_code(mount: Mount) -> Iterator[str]:
    tab = reach(mount, "pending")
    for verb in ("look", "scan", "confirm"):
        yield _line(f"POST phone/{verb}", tab.phone(verb), tab)
    seen = tab.look()
    yield _line("GET {L}", seen, tab)
    right = int(read(seen)["match_code"])
    for step in (1, 1, 2, 3):
        answer = tab.confirm(f"{(right + step) % 1000:03}")
        yield _line("POST phone/confirm, wrong", answer, tab)
    yield _line("GET {L}", tab.look(), tab)
    tab = reach(mount, "scanned")
    answer = tab.confirm(read(tab.look())["match_code"])
    yield _line("POST phone/confirm, right", answer, tab)
    yield _line("GET {L}", tab.look(), tab)


def _line(asked: str, answer: Response, tab: Tab) -> str:
    headers = [
        f"{name}: {value}" for name, value in answer.header_list() if name != "Content-Length"
    ]
    kind = {value: name for name, value in _HEADERS.items()}
    details: list[str] = []
    for header in headers:
        name, _, value = header.partition(": ")
        if name == "Content-Type":
            details.insert(0, kind[value])
        elif header not in (*_ALWAYS, "Cache-Control: no-store"):
            details.append(f"[{header}]")
    body = answer.body.decode() if details and details[0] == "json" else ""
    line = f"{asked:<28} {answer.status} {' '.join(details)} {body}"
    return _masked(line, tab.login_id).rstrip()


def _code(found: re.Match[str]) -> str:
    """A rotating code with its deadline in place of its letters."""
    return f"{{L.{int.from_bytes(base64.urlsafe_b64decode(found[0])[16:20])}.mac}}"


def _masked(line: str, login_id: str) -> str:
    for pattern, mask in (
        (rf"__Host-qrl-[0-9a-f]{{8}}=({login_id}\.[^;]*)", "__Host-qrl-{8 hex}={device_code}"),
        (rf"{login_id}\.[\w-]{{43}}\.[\d.]+\.[\w-]{{43}}", "{device_code}"),
        (rf"{login_id[:21]}[\w-]{{27}}", _code),
        (r"__Host-qrl-known=[\w-]{22}(\.[\w-]{22})", "__Host-qrl-known={name}.{entry}"),
        (r'"path":"M[^"]+"', '"path":"{path}"'),
        (r'"id":"[\w-]{12}"', '"id":"{picture}"'),
        (r'"match_code":"[0-9]{3}"', '"match_code":"{digits}"'),
        (r'"tag":"[\w-]{43}"', '"tag":"{tag}"'),
        (r'"landing":"[\w-]{43}"', '"landing":"{landing}"'),
        (r'ETag: "[0-9a-f]{16}"', 'ETag: "{16 hex}"'),
        (re.escape(login_id), "{L}"),
    ):
        line = re.sub(pattern, mask, line)
    return line


if __name__ == "__main__":
    with Mount("sync") as mount:
        GOLDEN.write_text("\n".join(transcript(mount)) + "\n")
