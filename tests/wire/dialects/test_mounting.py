"""What a dialect is told where it is mounted: used as it stands, or refused with the reason, and never quietly ignored."""

from typing import Any

import pytest

from qrlogin import MemoryStore, Misconfigured, QRLogin
from qrlogin.core import Core
from qrlogin.wire import JD, Bilibili, Endpoint, Request, Taobao, TaobaoNewLogin, WeChat, WeChatOpen
from qrlogin.wire.dialects.public_id import PublicIdDialect
from tests.tables import for_each_row

KINDS = (Bilibili, JD, Taobao, TaobaoNewLogin, WeChat, WeChatOpen)
LIVES = {WeChat: 300, WeChatOpen: 300}


def qr() -> QRLogin:
    return QRLogin(
        MemoryStore(), secret_keys=[bytes(range(32))], verification_uri="https://example.com/qr"
    )


@pytest.fixture
def core() -> Core:
    return qr().core


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_said_is_the_site_and_the_originals_lifetime(
    kind: type[PublicIdDialect], core: Core
) -> None:
    dialect = kind(core)
    assert (dialect.base_url, dialect.landing_url) == (
        "https://example.com/",
        "https://example.com/",
    )
    assert dialect.lifetime == LIVES.get(kind, 180)
    told = kind(core, at="https://example.com/a/b/", landing_path="/home", lifetime=60)
    assert (told.base_url, told.landing_url, told.lifetime) == (
        "https://example.com/a/b/",
        "https://example.com/home",
        60,
    )


@for_each_row("kind", KINDS)
@for_each_row(
    "option, value",
    [
        ("at", "https://elsewhere.example/"),
        ("at", "https://example.com.evil.example"),
        ("at", "http://example.com"),
        ("at", "https://example.com/?a=b"),
        ("at", "https://example.com/#a"),
        ("at", 'https://example.com/"'),
        ("at", "https://example.com/a b"),
        ("at", "https://example.com/<b>"),
        ("landing_path", "//evil.example"),
        ("landing_path", "https://example.com/"),
        ("landing_path", ""),
        ("lifetime", 0),
        ("lifetime", 601),
        ("lifetime", "60"),
    ],
)
def test_an_invalid_option_is_refused(
    kind: type[PublicIdDialect], option: str, value: object, core: Core
) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(Misconfigured, match=option):
        kind(core, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelled_option_is_refused(kind: type[PublicIdDialect], core: Core) -> None:
    options: dict[str, Any] = {"landing_pth": "/home"}
    with pytest.raises(TypeError, match="landing_pth"):
        kind(core, **options)


def test_the_lifetime_is_that_of_the_login() -> None:
    desk = qr()
    begun = Endpoint(desk, Bilibili(desk.core, lifetime=60), max_waiting=1).browser(
        Request("GET", "x/passport-login/web/qrcode/generate")
    )
    assert desk.status(begun.cookies[0].value).expires_in == 60
