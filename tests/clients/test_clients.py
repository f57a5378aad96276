"""Unchanged public clients log in when approved, and stop when the login is denied or expires."""

import importlib.metadata
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import npm_parts
import pytest

from tests.clients.play import PATIENCE_S, Client, Ending, Played, play
from tests.demo.running import RunningDemo
from tests.servers import LOOPBACK, missing

SHORT_S = 20  # the lifetime of a login that expires
MOST_PER_SECOND = 3

_OAUTH = {Ending.DENIED: "access_denied"}

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(2 * PATIENCE_S)]

CLIENTS = (
    Client(
        "itchat",
        ("itchat",),
        ("itchat_wechat",),
        frozenset({"login.weixin.qq.com"}),
        {Ending.DENIED: "400", Ending.EXPIRED: "400"},
        reports_scan=True,
        poll="/cgi-bin/mmwebwx-bin/login",
    ),
    Client(
        "wechat4u",
        ("wechat4u",),
        ("wechat4u.mjs",),
        frozenset({"login.wx.qq.com"}),
        {Ending.DENIED: "获取手机确认登录信息失败", Ending.EXPIRED: "获取手机确认登录信息失败"},
        reports_scan=True,
        poll="/cgi-bin/mmwebwx-bin/login",
    ),
    Client(
        "DecryptLogin (Taobao)",
        ("DecryptLogin",),
        ("decryptlogin", "taobao"),
        frozenset({"login.taobao.com", "qrlogin.taobao.com"}),
        {Ending.DENIED: "has expired", Ending.EXPIRED: "has expired"},
        ignores_denial=True,
    ),
    Client(
        "DecryptLogin (JD)",
        ("DecryptLogin",),
        ("decryptlogin", "jd"),
        frozenset({"passport.jd.com", "qr.m.jd.com"}),
        {Ending.DENIED: "二维码已取消授权", Ending.EXPIRED: "has expired"},
    ),
    Client(
        "aligo",
        ("aligo",),
        ("aligo_newlogin",),
        frozenset({"api.aliyundrive.com", "auth.aliyundrive.com", "passport.aliyundrive.com"}),
        {Ending.DENIED: "AligoFatalError", Ending.EXPIRED: "AligoFatalError"},
    ),
    Client(
        "bilibili-api-python",
        ("bilibili-api-python", "httpx"),
        ("bilibili_api_python",),
        frozenset({"passport.bilibili.com"}),
        {Ending.DENIED: "TIMEOUT", Ending.EXPIRED: "TIMEOUT"},
        reports_scan=True,
    ),
    Client(
        "requests-oauthlib",
        ("requests-oauthlib",),
        ("requests_oauthlib_rfc8628",),
        frozenset(),
        {**_OAUTH, Ending.EXPIRED: "expired_token"},
    ),
    Client(
        "requests-oauthlib-dags",
        ("requests-oauthlib-dags",),
        ("dags_rfc8628",),
        frozenset(),
        {
            Ending.DENIED: "AccessDeniedError",
            Ending.EXPIRED: "ExpiredDeviceCodeError|DeviceAuthorizationTimeoutError",
        },
    ),
    # A client with a timer of its own may stop just before the server answers that it expired.
    Client(
        "openid-client",
        ("openid-client",),
        ("openid-client.mjs", "oauth2"),
        frozenset(),
        {**_OAUTH, Ending.EXPIRED: "expired_token|TimeoutError|AbortError"},
    ),
    Client(
        "openid-client (OIDC)",
        ("openid-client",),
        ("openid-client.mjs", "oidc"),
        frozenset(),
        {**_OAUTH, Ending.EXPIRED: "expired_token|TimeoutError|AbortError"},
    ),
)


def installed(client: Client) -> bool:
    if client.of_node:
        return npm_parts.node() is not None and npm_parts.ready()
    try:
        return all(importlib.metadata.version(name) for name in client.packages)
    except importlib.metadata.PackageNotFoundError:
        return False


def waits(client: Client, ending: Ending) -> bool:
    """Whether the client runs until the login expires."""
    return ending is Ending.EXPIRED or (ending is Ending.DENIED and client.ignores_denial)


@pytest.fixture(scope="module")
def demos() -> Iterator[tuple[str, str]]:
    """The addresses of a demo, and of one whose logins expire soon."""
    with (
        RunningDemo("--dialects", "all") as usual,
        RunningDemo("--dialects", "all", "--lifetime", str(SHORT_S)) as short,
    ):
        yield usual.origin, short.origin


@pytest.mark.parametrize("client", CLIENTS, ids=[client.name for client in CLIENTS])
def test_a_public_client_logs_in_when_approved_and_stops_when_denied_or_expired(
    client: Client, demos: tuple[str, str], tmp_path: Path
) -> None:
    if not installed(client):
        missing(client.name, npm_parts.HOW)
    usual, short = demos

    def run(ending: Ending) -> Played:
        (folder := tmp_path / ending).mkdir()
        return play(client, ending, short if waits(client, ending) else usual, folder)

    with ThreadPoolExecutor(len(Ending)) as at_once:
        plays = list(at_once.map(run, Ending))
    for ending, played in zip(Ending, plays, strict=True):
        check(client, ending, played)


def check(client: Client, ending: Ending, played: Played) -> None:
    details = f"{ending}: {played!r}"
    refused = [each["output"] for each in played.every("phone") if each["code"]]
    assert not refused or (
        waits(client, ending) and all("has expired" in output for output in refused)
    ), details  # a busy machine
    assert len(played.every("shows")) == 1, details
    assert len(played.every("scanned")) == client.reports_scan or refused, details
    assert played.code == 0, details
    (end,) = played.every("in") + played.every("stopped")
    if ending is Ending.APPROVED:
        assert end == {"event": "in", "who": "Alice"}, details
        assert {each["host"] for each in played.every("asks")} - {LOOPBACK} == client.hosts, details
    else:
        assert end["event"] == "stopped", details
        assert re.search(client.stops[ending], end["why"]), details
    if client.poll:
        polls = [each["at"] for each in played.every("asks") if each["path"] == client.poll]
        assert polls, details
        within_a_second = [sum(begin <= at < begin + 1 for at in polls) for begin in polls]
        assert max(within_a_second) <= MOST_PER_SECOND, details
