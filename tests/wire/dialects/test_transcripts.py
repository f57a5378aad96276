"""The transcripts in docs/wire are what happens, for each dialect with a public id.

    > GET /path?query             the browser sends this; the form of a POST follows after a blank
    < 200                         the status; `Name: value` is a header; the rest is the whole body
    <~ part                       a part of a body that is too long to show
    phone> POST scan {…}          the phone, where alice is signed in, sends this
    phone< 200
    = alice is logged in          what the application received with the response before
    = logged out

A name in braces is a value that the server draws. It is the same wherever the name occurs.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.wire import (
    JD,
    Bilibili,
    Endpoint,
    Person,
    Request,
    Response,
    Taobao,
    TaobaoNewLogin,
    WeChat,
    WeChatOpen,
)
from tests.wire.clock import Clock
from tests.wire.dialects.polled_clients import FORM
from tests.wire.dialects.wechat_clients import HOLD
from tests.wire.mount import CREDENTIAL, JSON, KEY, URI

NOW = 1_700_000_000_000  # the clock does not move: a Max-Age counts the seconds
PAGES = Path(__file__).parents[3] / "docs" / "wire"
#: How the documented application makes each dialect.
DIALECTS: dict[str, Callable[..., Any]] = {
    "Taobao": Taobao,
    "TaobaoNewLogin": TaobaoNewLogin,
    "Bilibili": partial(Bilibili, after_login_path="/account"),
    "JD": partial(JD, after_login_path="/account"),
    "WeChat": partial(WeChat, after_login_path="/account", hold=HOLD),
    "WeChatOpen": partial(
        WeChatOpen,
        hold=HOLD,
        redirect_uris=lambda *given: given == ("wx1", "https://example.com:8443/back"),
        clients=lambda *given: given == ("wx1", "only an example"),
    ),
}
TRANSCRIPTS = {
    name: text
    for page in sorted(PAGES.glob("*.md"))
    for name, text in re.findall(
        r"^```transcript (\w+)\n(.*?)^```",
        page.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
}
_HEADER = re.compile(r"[A-Z][A-Za-z-]+: ")
_NAME = re.compile(r"\{(\w+)\}")


@dataclass
class Play:
    """A browser and a phone that send what a transcript says, and compare the responses with it."""

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
                sent = [
                    ("cookie", "; ".join(f"{name}={value}" for name, value in self.jar.items())),
                    *([FORM] if form else []),
                ]
                self.answer = self.endpoint.browser(
                    Request(method, path, query, tuple(sent), "".join(form).encode())
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
                    headers = self.answer.header_list()
                    assert any(self.fits(what, ": ".join(header)) for header in headers), what
                else:
                    assert self.fits(what, self.answer.body.decode()), (what, self.answer.body)
            case "<~":
                assert self.answer
                assert any(self.fits(what, part) for part in self.parts(what)), what
            case "=" if what == "logged out":
                assert self.answer
                assert self.answer.log_out
            case "=":
                assert self.answer
                assert self.answer.redeemed
                assert what == f"{self.answer.redeemed.subject} is logged in"
            case _:
                raise AssertionError(f"not a line of a transcript: {line}")

    def filled(self, text: str) -> str:
        return _NAME.sub(lambda found: self.known[found[1]], text)

    def fits(self, text: str, sent: str) -> bool:
        """Whether `text` spells what was sent. The values of new names are kept."""
        seen, parts = set[str](), []
        for part in re.split(r"(\{\w+\})", text):
            name = part[1:-1] if _NAME.fullmatch(part) else ""
            known = re.escape(self.known.get(name, ""))
            parts.append(
                re.escape(part)
                if not name
                else known or (f"(?P={name})" if name in seen else rf"(?P<{name}>[\w.=-]+)")
            )
            seen.add(name)
        found = re.fullmatch("".join(parts), sent)
        self.known |= found.groupdict() if found else {}
        return found is not None

    def parts(self, text: str) -> list[str]:
        """The parts of the body that `text` may spell."""
        assert self.answer
        form = re.sub(r"\\\{\w+\\\}", r"[\\w.=-]+", re.escape(text))
        return re.findall(form, self.answer.body.decode())


def lines(name: str) -> list[str]:
    """The lines of a transcript. A script of several lines is one body, so it becomes one line."""
    merged = list[str]()
    for line in filter(None, TRANSCRIPTS[name].splitlines()):
        if merged and all(each.startswith("< window.") for each in (merged[-1], line)):
            merged[-1] += line.replace("< ", "\n", 1)
        else:
            merged.append(line)
    return merged


def test_every_transcript_is_played() -> None:
    assert TRANSCRIPTS.keys() == DIALECTS.keys()


@pytest.mark.parametrize("name", DIALECTS)
def test_the_server_answers_as_in_the_transcript(name: str) -> None:
    qr = QRLogin(MemoryStore(now=Clock(NOW)), secret_keys=[KEY], verification_uri=URI)
    browser, phone = (
        Endpoint(qr, DIALECTS[name](qr.core), max_waiting=1),
        Endpoint(qr, max_waiting=1),
    )
    play, transcript = Play(browser, phone), lines(name)
    for line in transcript:
        play.line(line)
    for mark in (">", "<", "phone>", "="):
        assert any(line.startswith(f"{mark} ") for line in transcript), f"{name} shows no {mark}"


def test_a_wrong_line_of_a_transcript_does_not_fit() -> None:
    play = Play(*[None] * 2)  # type: ignore[arg-type]  # sends nothing
    assert play.fits("a={x}&b={x}", "a=1&b=1")
    assert not play.fits("a={y}&b={y}", "a=1&b=2")
    assert not play.fits("{x}", "2")
    assert not play.fits('{"x":1}', '{"x":1} ')
    play.answer = Response(200, body=b'a G="x" b')
    assert play.parts('G="{uuid}"') == ['G="x"']
    assert play.parts("G='{uuid}'") == []
