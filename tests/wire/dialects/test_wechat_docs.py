"""The transcripts of docs/wire/wechat.md and wechat_open.md, played as they stand, as `test_polled_docs` plays the others.

< line          a body may have several lines
<~ part         of a body that is too long to show
= logged out    the application was told so
"""

import re
from pathlib import Path

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.wire import Endpoint
from qrlogin.wire.dialects.wechat import WeChat
from qrlogin.wire.dialects.wechat_open import WeChatOpen
from tests.wire.clock import Clock
from tests.wire.dialects.test_polled_docs import NOW, PAGES, Play
from tests.wire.dialects.wechat_clients import HOLD
from tests.wire.mount import KEY, URI

APPLICATION = ("wx1", "https://example.com:8443/back", "only an example")


class Longer(Play):
    def line(self, line: str) -> None:
        who, _, what = line.partition(" ")
        if who == "<~":
            assert self.answer
            assert any(
                self.fits(what, said) for said in self.parts(what, self.answer.body.decode())
            ), what
        elif line == "= logged out":
            assert self.answer
            assert self.answer.log_out
        else:
            super().line(line)

    def parts(self, what: str, body: str) -> list[str]:
        """Whatever in the body could be this."""
        form = re.sub(r"\\\{\w+\\\}", r"[\\w.=-]+", re.escape(what))
        return re.findall(form, body)


def lines(page: Path, name: str) -> list[str]:
    """The lines of a transcript; those of one body are one."""
    (text,) = re.findall(
        rf"^```transcript {name}\n(.*?)^```",
        page.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    merged = list[str]()
    for line in filter(None, text.splitlines()):
        if merged and all(each.startswith("< window.") for each in (merged[-1], line)):
            merged[-1] += line.replace("< ", "\n", 1)
        else:
            merged.append(line)
    return merged


def test_wechat() -> None:
    qr = QRLogin(MemoryStore(now=Clock(NOW)), secret_keys=[KEY], verification_uri=URI)
    play = Longer(
        Endpoint(qr, WeChat(qr.core, landing_path="/account", hold=HOLD), max_waiting=1),
        Endpoint(qr, max_waiting=1),
    )
    for line in lines(PAGES / "wechat.md", "WeChat"):
        play.line(line)
    assert {"uuid", "ticket", "skey"} <= play.known.keys()


def test_wechat_open() -> None:
    qr = QRLogin(MemoryStore(now=Clock(NOW)), secret_keys=[KEY], verification_uri=URI)
    appid, back, secret = APPLICATION
    dialect = WeChatOpen(
        qr.core,
        hold=HOLD,
        redirect_uris=lambda *asked: asked == (appid, back),
        clients=lambda *asked: asked == (appid, secret),
    )
    play = Longer(Endpoint(qr, dialect, max_waiting=1), Endpoint(qr, max_waiting=1))
    for line in lines(PAGES / "wechat_open.md", "WeChatOpen"):
        play.line(line)
    assert play.known["code"].startswith(play.known["uuid"])


@pytest.mark.parametrize("page", ["wechat", "wechat_open"])
def test_a_changed_word_is_noticed(page: str) -> None:
    name = {"wechat": "WeChat", "wechat_open": "WeChatOpen"}[page]
    assert (
        len([line for line in lines(PAGES / f"{page}.md", name) if line.startswith("< window.")])
        >= 4
    )
    play = Longer(*[None] * 2)  # type: ignore[arg-type]  # nothing is asked
    assert play.parts('G="{uuid}"', 'a G="x" b') == ['G="x"']
    assert play.parts('G="{uuid}"', "a G='x' b") == []
