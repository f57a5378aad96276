"""The transcripts in docs/wire, played as they stand.

    > GET /path?query             the browser asks; of a POST, the form follows after a blank
    < 200                         the status; a line `Name: value` is one of the headers; the others are the whole body
    phone> POST scan {…}          the phone's door, where alice is signed in
    phone< 200
    = alice is logged in          what the application was given with the answer before

A name in braces stands for what the server makes up: the same thing wherever the name is.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.wire import Endpoint, Person, Request, Response
from qrlogin.wire.dialects.public_id import PublicIdDialect
from tests.wire.clock import Clock
from tests.wire.dialects.polled_clients import CLIENTS, FORM
from tests.wire.mount import CREDENTIAL, JSON, KEY, URI

NOW = 1_700_000_000_000  # and time stands still: a Max-Age counts the seconds
PAGES = Path(__file__).parents[3] / "docs" / "wire"
DIALECTS = {client.dialect.__name__: client.dialect for client in CLIENTS.values()}
TRANSCRIPTS = {
    name: text
    for page in sorted(PAGES.glob("*.md"))
    for name, text in re.findall(
        r"^```transcript (\w+)\n(.*?)^```",
        page.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    if name in DIALECTS
}
_HEADER = re.compile(r"[A-Z][A-Za-z-]+: ")
_NAME = re.compile(r"\{(\w+)\}")


@dataclass
class Play:
    """A browser and a phone that do what a transcript says, and hold it against what comes back."""

    endpoint: Endpoint
    native: Endpoint
    known: dict[str, str] = field(default_factory=dict)
    jar: dict[str, str] = field(default_factory=dict)
    answer: Response | None = None

    def line(self, line: str) -> None:
        who, _, what = line.partition(" ")
        match who:
            case ">":
                method, address, *form = self.filled(what).split(" ", 2)
                path, _, query = address.removeprefix("/").partition("?")
                headers = [
                    ("cookie", "; ".join(f"{name}={value}" for name, value in self.jar.items())),
                    *([FORM] if form else []),
                ]
                self.answer = self.endpoint.browser(
                    Request(method, path, query, tuple(headers), "".join(form).encode())
                )
                self.jar |= {cookie.key: cookie.value for cookie in self.answer.cookies}
            case "phone>":
                method, path, body = self.filled(what).split(" ", 2)
                asked = Request(method, path, "", (JSON, CREDENTIAL), body.encode())
                self.answer = self.native.phone(asked, Person("alice", "A•••e"))
            case "<" | "phone<":
                assert self.answer
                if what.isdigit():
                    assert self.answer.status == int(what)
                elif _HEADER.match(what):
                    assert any(
                        self.fits(what, ": ".join(header)) for header in self.answer.header_list()
                    ), what
                else:
                    assert self.fits(what, self.answer.body.decode()), (what, self.answer.body)
            case "=":
                assert self.answer
                assert self.answer.redeemed
                assert what == f"{self.answer.redeemed.subject} is logged in"
            case _:
                raise AssertionError(f"not a line of a transcript: {line}")

    def filled(self, text: str) -> str:
        return _NAME.sub(lambda found: self.known[found[1]], text)

    def fits(self, text: str, said: str) -> bool:
        """Whether that is what was said. Names that are new are known from now on."""
        seen = set[str]()
        parts = []
        for part in re.split(r"(\{\w+\})", text):
            name = part[1:-1] if _NAME.fullmatch(part) else ""
            known = re.escape(self.known.get(name, ""))
            parts.append(
                re.escape(part)
                if not name
                else known or (f"(?P={name})" if name in seen else rf"(?P<{name}>[\w.=-]+)")
            )
            seen.add(name)
        found = re.fullmatch("".join(parts), said)
        self.known |= found.groupdict() if found else {}
        return found is not None


@pytest.mark.parametrize("name", DIALECTS)
def test_the_transcript_is_what_happens(name: str) -> None:
    qr = QRLogin(MemoryStore(now=Clock(NOW)), secret_keys=[KEY], verification_uri=URI)
    dialect: type[PublicIdDialect] = DIALECTS[name]
    landing = "/" if name.startswith("Taobao") else "/account"
    play = Play(
        Endpoint(qr, dialect(qr.core, landing_path=landing), max_waiting=1),
        Endpoint(qr, max_waiting=1),
    )
    lines = [line for line in TRANSCRIPTS[name].splitlines() if line]
    for line in lines:
        play.line(line)
    for mark in (">", "<", "phone>", "="):
        assert any(line.startswith(f"{mark} ") for line in lines), f"{name} shows no {mark}"


def test_a_transcript_that_is_wrong_is_noticed() -> None:
    play = Play(*[None] * 2)  # type: ignore[arg-type]  # nothing is asked
    assert play.fits("a={x}&b={x}", "a=1&b=1")
    assert not play.fits("a={y}&b={y}", "a=1&b=2")
    assert not play.fits("{x}", "2")
    assert not play.fits('{"x":1}', '{"x":1} ')
